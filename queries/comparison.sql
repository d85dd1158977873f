-- brief: scores: programs and proxies, beside the paper's figures
-- A program or known proxy on the networks of a collection (`zcsr test --task`), with what the EZNAS paper reports of it
-- for the task: Kendall's tau-b with the ends of its 95% bootstrap interval, Kendall's tau-b among the tenth of the
-- networks with the highest accuracies, Spearman's rho, and the rho that is left once the ranks of the number of
-- parameters are regressed out (all -1..1); the count of networks with a finite score and an accuracy, over which they
-- are, and how many have a score that is not finite. The number of parameters is the score of the proxy params on the
-- same networks in any collection of the task; networks without it are left out of the partial correlation.
-- parameter: collection TEXT 'all' the collection, or 'all'
-- parameter: task TEXT 'all' the task, such as nasbench201:cifar10, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
-- parameter: networks INTEGER 30 leave out collections of fewer networks, where the task has a larger one and none is named
WITH sizes AS (
    SELECT task, arch, max(score) AS parameters FROM network_scores WHERE program = 'params' GROUP BY task, arch
),
gathered AS (
    SELECT
        s.collection,
        s.task,
        s.program,
        s.name,
        s.batch_size,
        s.seed,
        s.pattern,
        list(s.score ORDER BY s.arch) FILTER (isfinite(s.score)) AS scores,
        list(s.accuracy ORDER BY s.arch) FILTER (isfinite(s.score)) AS accuracies,
        list(z.parameters ORDER BY s.arch) FILTER (isfinite(s.score)) AS parameters,
        count(*) FILTER (isfinite(s.score)) AS networks,
        count(*) FILTER (NOT isfinite(s.score)) AS non_finite
    FROM scored_networks AS s
    LEFT JOIN sizes AS z USING (task, arch)
    WHERE s.metric = $metric AND $collection IN ('all', s.collection) AND $task IN ('all', s.task)
    GROUP BY s.collection, s.task, s.program, s.name, s.batch_size, s.seed, s.pattern
),
sized AS (
    SELECT collection, task, max(networks) AS networks, max(max(networks)) OVER (PARTITION BY task) AS most
    FROM gathered
    GROUP BY collection, task
),
ranked AS MATERIALIZED (
    SELECT
        * EXCLUDE (scores, accuracies, parameters),
        kendall(scores, accuracies) AS kendall,
        kendall_interval(scores, accuracies) AS ends,
        kendall_of_top(scores, accuracies, 0.1) AS kendall_of_top,
        spearman(scores, accuracies) AS spearman,
        partial_spearman(scores, accuracies, parameters) AS partial_spearman
    FROM gathered
    WHERE $collection <> 'all' OR collection IN (SELECT collection FROM sized WHERE networks >= least($networks, most))
),
reported AS (
    SELECT
        space || ':' || dataset AS task,
        proxy,
        max(value) FILTER (statistic = 'kendall') AS kendall,
        max(value) FILTER (statistic = 'spearman') AS spearman
    FROM published
    WHERE source = 'EZNAS paper'
    GROUP BY space, dataset, proxy
)
SELECT
    r.task,
    r.collection,
    r.name,
    r.batch_size,
    r.seed,
    r.pattern,
    r.kendall,
    r.ends[1] AS kendall_low,
    r.ends[2] AS kendall_high,
    p.kendall AS published_kendall,
    r.kendall_of_top,
    r.spearman,
    p.spearman AS published_spearman,
    r.partial_spearman,
    r.networks,
    r.non_finite
FROM ranked AS r
LEFT JOIN reported AS p ON p.task = r.task AND p.proxy = r.name
ORDER BY r.task, r.batch_size, r.seed, r.pattern, r.collection, r.kendall DESC NULLS LAST, r.name
