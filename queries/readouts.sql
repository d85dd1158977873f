-- brief: scores: ways to read an expression out (EZNAS, Figure 10)
-- A way of reading an expression out (EZNAS, Figure 10): the pattern of the instances (rcb or cbr), how the expression's
-- value becomes a number (to_scalar: mean or l2), and how the instances' numbers become the network's score
-- (aggregation: mean or sum), with Kendall's tau-b and Spearman's rho (-1..1) with the accuracies. Each expression is
-- beside itself in collections that differ in the pattern at most, over the networks that were scored in every one of
-- these ways; `networks` says how many of them have a finite score in this one.
-- parameter: task TEXT 'all' the task, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH scored AS (
    SELECT
        *,
        regexp_extract(text, '^(.*?)(?: -> ([a-z0-9]+) -> ([a-z]+))?$', ['root', 'to_scalar', 'aggregation']) AS parts,
        parts['root'] AS root,
        {
            'pattern': pattern,
            'to_scalar': coalesce(nullif(parts['to_scalar'], ''), 'mean'),
            'aggregation': coalesce(nullif(parts['aggregation'], ''), 'mean')
        } AS way
    FROM scored_networks
    WHERE metric = $metric AND $task IN ('all', task) AND program <> text
),
counted AS (
    SELECT
        *,
        count(DISTINCT way) OVER (PARTITION BY task, conditions, batch_size, seed, loss, root) AS ways,
        count(DISTINCT way) OVER (
            PARTITION BY task, conditions, batch_size, seed, loss, root, arch
        ) AS ways_of_network
    FROM scored
),
names AS (
    SELECT text AS root, min(name) AS name FROM named_programs GROUP BY text
)
SELECT
    s.task,
    coalesce(n.name, s.root) AS name,
    s.images,
    s.batch_size,
    s.seed,
    s.loss,
    s.way.pattern AS pattern,
    s.way.to_scalar AS to_scalar,
    s.way.aggregation AS aggregation,
    tau(s.score, s.accuracy, s.arch) AS kendall,
    rho(s.score, s.accuracy, s.arch) AS spearman,
    count(*) FILTER (isfinite(s.score)) AS networks
FROM counted AS s
LEFT JOIN names AS n USING (root)
WHERE s.ways > 1 AND s.ways_of_network = s.ways
GROUP BY s.task, s.conditions, s.images, s.batch_size, s.seed, s.loss, s.root, n.name, s.way
ORDER BY
    s.task,
    s.images,
    s.batch_size,
    s.seed,
    s.loss,
    coalesce(n.name, s.root),
    s.conditions,
    s.way.pattern DESC,
    s.way.to_scalar DESC,
    s.way.aggregation
