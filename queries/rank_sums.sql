-- brief: scores: several proxies put together by ranks (AZ-NAS)
-- A collection's networks by several known proxies put together, as AZ-NAS does its four: a network's score is the sum
-- over the proxies of log(rank / networks), where the best has the highest rank, ties share their mean rank and what is
-- not finite ranks lowest. Kendall's tau-b with the ends of its 95% bootstrap interval and Spearman's rho (-1..1) with
-- the accuracies, over the networks that all the proxies scored and that have an accuracy; and, for AZ-NAS's four, the
-- tau that their paper reports.
-- parameter: proxies TEXT 'az_complexity,az_expressivity,az_progressivity,az_trainability' names, separated by commas
-- parameter: collection TEXT 'all' the collection, or 'all'
-- parameter: task TEXT 'all' the task, or 'all'
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH asked AS (
    SELECT DISTINCT trim(unnest(string_split($proxies, ','))) AS program
),
scored AS (
    SELECT s.* REPLACE (CASE WHEN isfinite(s.score) THEN s.score ELSE '-infinity'::DOUBLE END AS score)
    FROM scored_networks AS s
    JOIN asked USING (program)
    WHERE s.metric = $metric AND $collection IN ('all', s.collection) AND $task IN ('all', s.task)
    QUALIFY
        count(*) OVER (PARTITION BY s.collection, s.arch) = (SELECT count(*) FROM asked)
),
ranked AS (
    SELECT
        *,
        rank() OVER (PARTITION BY collection, program ORDER BY score)
        + (count(*) OVER (PARTITION BY collection, program, score) - 1) / 2.0 AS place,
        count(*) OVER (PARTITION BY collection, program) AS networks
    FROM scored
),
summed AS (
    SELECT
        task,
        collection,
        batch_size,
        seed,
        arch,
        accuracy,
        sum(ln(place / networks) ORDER BY program) AS score
    FROM ranked
    GROUP BY task, collection, batch_size, seed, arch, accuracy
),
gathered AS (
    SELECT
        task,
        collection,
        batch_size,
        seed,
        list(score ORDER BY arch) AS scores,
        list(accuracy ORDER BY arch) AS accuracies,
        count(*) AS networks
    FROM summed
    GROUP BY task, collection, batch_size, seed
)
SELECT
    g.task,
    g.collection,
    (SELECT string_agg(program, ' ' ORDER BY program) FROM asked) AS proxies,
    g.batch_size,
    g.seed,
    kendall(g.scores, g.accuracies) AS kendall,
    kendall_interval(g.scores, g.accuracies)[1] AS kendall_low,
    kendall_interval(g.scores, g.accuracies)[2] AS kendall_high,
    p.value AS published_kendall,
    spearman(g.scores, g.accuracies) AS spearman,
    g.networks
FROM gathered AS g
LEFT JOIN published AS p
    ON
        p.space || ':' || p.dataset = g.task
        AND p.proxy = 'az_nas'
        AND p.statistic = 'kendall'
        AND (SELECT count(*) FROM asked) = 4
        AND (SELECT bool_and(program LIKE 'az\_%' ESCAPE '\') FROM asked)
ORDER BY g.task, g.networks DESC, g.collection
