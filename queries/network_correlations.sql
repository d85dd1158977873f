-- brief: scores: tau and rho on the networks of a collection
-- A program tested apart from any run on the networks of a collection: Kendall's tau-b and Spearman's rho (-1..1) between
-- its scores and the accuracies over the count of networks with both (scores that are not finite are left out), and
-- how many of the networks scored have a score that is not finite.
-- parameter: collection TEXT 'all' the collection, or 'all'
-- parameter: program TEXT 'all' the program's id, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
SELECT
    collection,
    task,
    text,
    tau(score, accuracy, arch) AS kendall,
    rho(score, accuracy, arch) AS spearman,
    count(*) FILTER (isfinite(score)) AS networks,
    count(*) FILTER (NOT isfinite(score)) AS non_finite
FROM scored_networks
WHERE metric = $metric AND $collection IN ('all', collection) AND $program IN ('all', program)
GROUP BY collection, task, program, text
ORDER BY collection, kendall DESC NULLS LAST, text
