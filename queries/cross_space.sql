-- A program tested by a run on a task: the tasks that it was evolved on, the task that it was tested on, and
-- Kendall's tau-b and Spearman's rho (-1..1) with the accuracies over the count of test networks.
-- parameter: run TEXT 'all' the run, 'latest' for the one started last, or 'all'
WITH evolved AS (
    SELECT run, string_agg(task, ' ' ORDER BY position) FILTER (evolve_networks > 0) AS evolved_on
    FROM tasks
    GROUP BY run
)
SELECT
    s.run,
    e.evolved_on,
    s.task AS tested_on,
    s.program,
    p.text,
    tau(s.score, s.accuracy, s.arch) AS kendall,
    rho(s.score, s.accuracy, s.arch) AS spearman,
    count(*) AS networks
FROM run_scores AS s
JOIN evolved AS e USING (run)
JOIN programs AS p USING (run, program)
WHERE ($run = 'all' OR s.run = chosen_run($run)) AND s.role = 'test' AND isfinite(s.score)
GROUP BY s.run, e.evolved_on, s.task, s.program, p.text
ORDER BY s.run, s.program, tested_on
