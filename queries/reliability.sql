-- brief: store: how far accuracies of several seeds can be trusted
-- A task and metric whose networks were trained with several seeds: how well its accuracies can be trusted to rank. Over
-- the networks that were trained with every seed and learned at least something (mean accuracy of `least` percent or
-- more): Kendall's tau-b between two seeds (the mean over all pairs of seeds), between two disjoint halves of the seeds
-- (the mean accuracies of every other seed), and the ceiling that this sets: the tau with this table that a proxy which
-- knew every true accuracy could be expected to reach, for normal errors (tau to correlation by sin(pi tau / 2), one
-- seed to all of them by Spearman and Brown, its square root back to tau).
-- parameter: task TEXT 'all' the task, or 'all'
-- parameter: metric TEXT 'test' the accuracies
-- parameter: least DOUBLE 0 networks of a lower mean accuracy (percent) are left out
WITH trained AS (
    SELECT task, arch, seed, avg(accuracy) AS accuracy
    FROM accuracies
    WHERE metric = $metric AND $task IN ('all', task)
    GROUP BY task, arch, seed
),
kept AS (
    SELECT
        task,
        arch,
        accuracy,
        dense_rank() OVER (PARTITION BY task ORDER BY seed) AS place,
        count(DISTINCT seed) OVER (PARTITION BY task) AS seeds
    FROM trained
    QUALIFY
        count(*) OVER (PARTITION BY task, arch) = seeds
        AND avg(accuracy) OVER (PARTITION BY task, arch) >= $least
),
pairs AS (
    SELECT a.task, tau(a.accuracy, b.accuracy, a.arch) AS tau
    FROM kept AS a
    JOIN kept AS b ON b.task = a.task AND b.arch = a.arch AND b.place > a.place
    GROUP BY a.task, a.place, b.place
),
between_seeds AS (
    SELECT task, avg(tau) AS tau FROM pairs GROUP BY task
),
halves AS (
    SELECT
        task,
        arch,
        max(seeds) AS seeds,
        avg(accuracy) FILTER (place % 2 = 1) AS odd,
        avg(accuracy) FILTER (place % 2 = 0) AS even
    FROM kept
    GROUP BY task, arch
),
split AS (
    SELECT
        task,
        count(*) AS networks,
        max(seeds) AS seeds,
        tau(odd, even, arch) AS tau
    FROM halves
    GROUP BY task
)
SELECT
    h.task,
    h.networks,
    h.seeds,
    s.tau AS tau_between_seeds,
    h.tau AS tau_between_halves,
    CASE WHEN s.tau > 0 THEN
        2 / pi() * asin(sqrt(h.seeds * sin(pi() * s.tau / 2) / (1 + (h.seeds - 1) * sin(pi() * s.tau / 2))))
    END AS ceiling
FROM split AS h
JOIN between_seeds AS s USING (task)
WHERE h.seeds > 1
ORDER BY h.task
