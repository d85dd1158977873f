-- A program tested apart from any run on the networks of a collection: Kendall's tau-b and Spearman's rho (-1..1) between
-- its scores and the accuracies over the count of networks with both (scores that are not finite are left out), and
-- how many of the networks scored have a score that is not finite.
-- parameter: collection TEXT 'all' the collection, or 'all'
-- parameter: program TEXT 'all' the program's id, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
SELECT
    s.collection,
    s.task,
    s.text,
    kendall(
        list(s.score ORDER BY s.arch) FILTER (isfinite(s.score)),
        list(a.accuracy ORDER BY s.arch) FILTER (isfinite(s.score))
    ) AS kendall,
    spearman(
        list(s.score ORDER BY s.arch) FILTER (isfinite(s.score)),
        list(a.accuracy ORDER BY s.arch) FILTER (isfinite(s.score))
    ) AS spearman,
    count(*) FILTER (isfinite(s.score)) AS networks,
    count(*) FILTER (NOT isfinite(s.score)) AS non_finite
FROM network_scores AS s
JOIN mean_accuracies AS a USING (task, arch)
WHERE a.metric = $metric AND $collection IN ('all', s.collection) AND $program IN ('all', s.program)
GROUP BY s.collection, s.task, s.program, s.text
ORDER BY s.collection, kendall DESC NULLS LAST, s.text
