-- brief: scores: tau over seeds (EZNAS, Figure 9)
-- A program or known proxy over collections that differ in the seed only (EZNAS, Figure 9): the number of seeds, and
-- over them the mean, standard deviation, lowest and highest of Kendall's tau-b (-1..1) with the accuracies. Of the kind
-- common, every tau is over the networks that were scored with all the seeds, so that only weights, minibatch and noise
-- differ. Of the kind own, each is over all networks that were scored with its seed; such a row is there only where
-- these are not the same. `networks` is the count of finite scores with the seed that has the fewest.
-- parameter: task TEXT 'all' the task, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH counted AS (
    SELECT
        *,
        count(DISTINCT seed) OVER (PARTITION BY task, program, conditions, batch_size, pattern, loss) AS all_seeds,
        count(DISTINCT seed) OVER (
            PARTITION BY task, program, conditions, batch_size, pattern, loss, arch
        ) AS seeds_of_network
    FROM scored_networks
    WHERE metric = $metric AND $task IN ('all', task)
),
sorted AS (
    SELECT *, unnest(CASE seeds_of_network WHEN all_seeds THEN ['common', 'own'] ELSE ['own'] END) AS kind
    FROM counted
    WHERE all_seeds > 1
),
taus AS (
    SELECT
        kind,
        task,
        program,
        name,
        conditions,
        images,
        batch_size,
        pattern,
        loss,
        seed,
        tau(score, accuracy, arch) AS kendall,
        count(*) FILTER (isfinite(score)) AS networks,
        count(*) AS scored
    FROM sorted
    GROUP BY kind, task, program, name, conditions, images, batch_size, pattern, loss, seed
)
SELECT
    task,
    name,
    images,
    batch_size,
    pattern,
    loss,
    kind,
    count(kendall) AS seeds,
    min(networks) AS networks,
    avg(kendall ORDER BY seed) AS kendall_mean,
    stddev_samp(kendall ORDER BY seed) AS kendall_deviation,
    min(kendall) AS kendall_lowest,
    max(kendall) AS kendall_highest
FROM taus
GROUP BY kind, task, program, name, conditions, images, batch_size, pattern, loss
QUALIFY
    seeds > 1
    AND (kind = 'common' OR sum(scored) > coalesce(max(sum(scored)) FILTER (kind = 'common') OVER (
        PARTITION BY task, program, conditions, batch_size, pattern, loss
    ), 0))
ORDER BY task, images, batch_size, pattern, loss, name, conditions, kind
