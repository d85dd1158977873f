-- A program or known proxy at one of several batch sizes (EZNAS, Figure 7): Kendall's tau-b (-1..1) with the accuracies
-- in a collection, beside collections that differ from it in the batch size (images) only. Over the networks that were
-- scored at every batch size; `networks` says how many of them have a finite score at this one.
-- parameter: task TEXT 'all' the task, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH scored AS (
    FROM scored_networks WHERE metric = $metric AND $task IN ('all', task)
),
several AS (
    SELECT task, program, conditions, seed, pattern, loss, count(DISTINCT batch_size) AS sizes
    FROM scored
    GROUP BY task, program, conditions, seed, pattern, loss
    HAVING sizes > 1
),
shared AS (
    SELECT task, program, conditions, seed, pattern, loss, arch
    FROM scored
    JOIN several AS v USING (task, program, conditions, seed, pattern, loss)
    GROUP BY task, program, conditions, seed, pattern, loss, arch
    HAVING count(DISTINCT batch_size) = max(v.sizes)
)
SELECT
    s.task,
    s.name,
    s.images,
    s.seed,
    s.pattern,
    s.loss,
    s.batch_size,
    tau(s.score, s.accuracy, s.arch) AS kendall,
    count(*) FILTER (isfinite(s.score)) AS networks
FROM scored AS s
JOIN shared USING (task, program, conditions, seed, pattern, loss, arch)
GROUP BY s.task, s.program, s.name, s.conditions, s.images, s.seed, s.pattern, s.loss, s.batch_size
ORDER BY s.task, s.images, s.seed, s.pattern, s.loss, s.name, s.conditions, s.batch_size
