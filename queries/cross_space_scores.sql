-- brief: scores: the same programs and proxies on several tasks
-- A program or known proxy at a batch size (images) on a task (EZNAS, Figure 11): Kendall's tau-b and Spearman's rho
-- (-1..1) with the accuracies over the count of networks with a finite score. Where there are several such collections,
-- this is the one in which the program has the most of these networks, and of equal ones that of the pattern rcb, the
-- loss ones and the lowest seed.
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH listed AS MATERIALIZED (
    SELECT
        name,
        batch_size,
        task,
        collection,
        list(score ORDER BY arch) FILTER (isfinite(score)) AS scores,
        list(accuracy ORDER BY arch) FILTER (isfinite(score)) AS accuracies
    FROM scored_networks
    WHERE metric = $metric
    GROUP BY collection, task, program, name, batch_size, pattern, loss, seed
    QUALIFY 1 = row_number() OVER (
        PARTITION BY task, program, batch_size
        ORDER BY count(*) FILTER (isfinite(score)) DESC, pattern DESC, loss DESC, seed, collection
    )
)
SELECT
    name,
    batch_size,
    task AS tested_on,
    kendall(scores, accuracies) AS kendall,
    spearman(scores, accuracies) AS spearman,
    coalesce(len(scores), 0) AS networks,
    collection
FROM listed
ORDER BY name, batch_size, task
