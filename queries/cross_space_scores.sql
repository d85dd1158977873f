-- A program or known proxy at a batch size (images) on a task (EZNAS, Figure 11): Kendall's tau-b and Spearman's rho
-- (-1..1) with the accuracies over the count of networks with a finite score. Where there are several such collections,
-- this is the one in which the program has the most of these networks, and of equal ones that of the pattern rcb, the
-- loss ones and the lowest seed.
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH counted AS (
    SELECT
        collection,
        task,
        program,
        batch_size,
        pattern,
        loss,
        seed,
        count(*) FILTER (isfinite(score)) AS networks
    FROM scored_networks
    WHERE metric = $metric
    GROUP BY collection, task, program, batch_size, pattern, loss, seed
),
chosen AS (
    SELECT collection, task, program
    FROM counted
    QUALIFY 1 = row_number() OVER (
        PARTITION BY task, program, batch_size
        ORDER BY networks DESC, pattern DESC, loss DESC, seed, collection
    )
)
SELECT
    s.name,
    s.batch_size,
    s.task AS tested_on,
    kendall(
        list(s.score ORDER BY s.arch) FILTER (isfinite(s.score)),
        list(s.accuracy ORDER BY s.arch) FILTER (isfinite(s.score))
    ) AS kendall,
    spearman(
        list(s.score ORDER BY s.arch) FILTER (isfinite(s.score)),
        list(s.accuracy ORDER BY s.arch) FILTER (isfinite(s.score))
    ) AS spearman,
    count(*) FILTER (isfinite(s.score)) AS networks,
    s.collection
FROM scored_networks AS s
JOIN chosen USING (collection, task, program)
WHERE s.metric = $metric
GROUP BY s.program, s.name, s.batch_size, s.task, s.collection
ORDER BY s.name, s.batch_size, s.task
