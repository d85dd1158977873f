-- brief: store: which tasks have accuracies, and of what range
-- A task and metric: how many networks it has accuracies for, how many rows (networks and seeds), the number of
-- seeds, and the lowest, median and highest accuracy (percent, the mean over seeds).
-- parameter: task TEXT 'all' the task, such as nasbench201:cifar10, or 'all'
WITH means AS (
    SELECT task, metric, arch, avg(accuracy) AS accuracy, count(*) AS rows FROM accuracies
    WHERE $task IN ('all', task)
    GROUP BY task, metric, arch
)
SELECT
    task,
    metric,
    count(*) AS networks,
    sum(rows)::BIGINT AS rows,
    max(rows) AS seeds,
    min(accuracy) AS lowest,
    median(accuracy) AS median,
    max(accuracy) AS highest
FROM means
GROUP BY task, metric
ORDER BY task, metric
