-- A program tested by a run on a task: the tasks that it was evolved on, the task that it was tested on, and
-- Kendall's tau-b and Spearman's rho (-1..1) with the accuracies over the count of test networks.
-- parameter: run TEXT 'all' the run, 'latest' for the one started last, or 'all'
WITH chosen AS (
    SELECT run FROM runs
    WHERE $run IN ('all', run)
        OR ($run = 'latest' AND run = (SELECT run FROM runs ORDER BY started DESC, run DESC LIMIT 1))
),
evolved AS (
    SELECT run, string_agg(task, ' ' ORDER BY position) FILTER (evolve_networks > 0) AS evolved_on
    FROM tasks
    GROUP BY run
),
ranked AS (
    SELECT
        s.run,
        s.program,
        s.task,
        kendall(list(s.score ORDER BY s.arch), list(a.accuracy ORDER BY s.arch)) AS kendall,
        spearman(list(s.score ORDER BY s.arch), list(a.accuracy ORDER BY s.arch)) AS spearman,
        count(*) AS networks
    FROM chosen
    JOIN scores AS s USING (run)
    JOIN tasks AS t USING (run, task)
    JOIN mean_accuracies AS a USING (task, metric, arch)
    WHERE s.role = 'test' AND isfinite(s.score)
    GROUP BY s.run, s.program, s.task
)
SELECT
    r.run,
    e.evolved_on,
    r.task AS tested_on,
    r.program,
    p.text,
    r.kendall,
    r.spearman,
    r.networks
FROM ranked AS r
JOIN evolved AS e USING (run)
JOIN programs AS p USING (run, program)
ORDER BY r.run, r.program, tested_on
