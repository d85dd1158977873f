-- brief: scores: ours beside the paper's figures, on common networks
-- A program or known proxy that the EZNAS paper has a Kendall's tau-b of for the task, on the networks of a collection
-- that all such were scored on: our tau-b with the ends of its 95% bootstrap interval, the published one, ours less that,
-- and the count of networks.
-- parameter: task TEXT 'all' the task, such as nasbench201:cifar10, or 'all'
-- parameter: networks INTEGER 30 leave out collections with fewer common networks
WITH reported AS (
    SELECT space || ':' || dataset AS task, proxy AS name, max(value) AS published
    FROM published
    WHERE source = 'EZNAS paper' AND statistic = 'kendall' AND $task IN ('all', space || ':' || dataset)
    GROUP BY ALL
),

scored AS (
    SELECT s.collection, s.task, s.name, s.arch, s.score, s.accuracy, r.published
    FROM scored_networks AS s
    JOIN reported AS r USING (task, name)
    WHERE s.metric = 'test' AND isfinite(s.score)
),

named AS (
    SELECT collection, task, count(DISTINCT name) AS names
    FROM scored
    GROUP BY collection, task
),

common AS (
    SELECT s.collection, s.task, s.arch
    FROM scored AS s
    JOIN named AS n USING (collection, task)
    GROUP BY s.collection, s.task, s.arch, n.names
    HAVING count(DISTINCT s.name) = n.names
),

measured AS (
    SELECT
        s.collection,
        s.task,
        s.name,
        s.published,
        list(s.score ORDER BY s.arch) AS scores,
        list(s.accuracy ORDER BY s.arch) AS accuracies
    FROM scored AS s
    JOIN common AS c USING (collection, task, arch)
    GROUP BY ALL
)

SELECT
    task,
    collection,
    name,
    kendall(scores, accuracies) AS kendall,
    kendall_interval(scores, accuracies)[1] AS kendall_low,
    kendall_interval(scores, accuracies)[2] AS kendall_high,
    published AS published_kendall,
    kendall(scores, accuracies) - published AS difference,
    len(scores) AS networks
FROM measured
WHERE len(scores) >= $networks
ORDER BY task, networks DESC, collection, kendall DESC NULLS LAST, name
