-- brief: scores: tau at several batch sizes (EZNAS, Figure 7)
-- A program or known proxy at one of several batch sizes (EZNAS, Figure 7): Kendall's tau-b (-1..1) with the accuracies
-- in a collection, beside collections that differ from it in the batch size (images) only. Over the networks that were
-- scored at every batch size; `networks` says how many of them have a finite score at this one.
-- parameter: task TEXT 'all' the task, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH counted AS (
    SELECT
        *,
        count(DISTINCT batch_size) OVER (PARTITION BY task, program, conditions, seed, pattern, loss) AS sizes,
        count(DISTINCT batch_size) OVER (
            PARTITION BY task, program, conditions, seed, pattern, loss, arch
        ) AS sizes_of_network
    FROM scored_networks
    WHERE metric = $metric AND $task IN ('all', task)
)
SELECT
    task,
    name,
    images,
    seed,
    pattern,
    loss,
    batch_size,
    tau(score, accuracy, arch) AS kendall,
    count(*) FILTER (isfinite(score)) AS networks
FROM counted
WHERE sizes > 1 AND sizes_of_network = sizes
GROUP BY task, program, name, conditions, images, seed, pattern, loss, batch_size
ORDER BY task, images, seed, pattern, loss, name, conditions, batch_size
