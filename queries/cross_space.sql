-- brief: run: what was evolved on some tasks and tested on others
-- A program tested by a run on a task: the tasks that it was evolved on, the task that it was tested on, and
-- Kendall's tau-b and Spearman's rho (-1..1) with the accuracies over the count of test networks.
-- parameter: run TEXT 'all' the run, 'latest' for the one started last, or 'all'
WITH evolved AS (
    SELECT run, string_agg(task, ' ' ORDER BY position) FILTER (evolve_networks > 0) AS evolved_on
    FROM tasks
    GROUP BY run
)
SELECT r.run, e.evolved_on, r.task AS tested_on, r.program, p.text, r.kendall, r.spearman, r.networks
FROM run_correlations AS r
JOIN evolved AS e USING (run)
JOIN programs AS p USING (run, program)
WHERE ($run = 'all' OR r.run = chosen_run($run)) AND r.role = 'test'
ORDER BY r.run, r.program, tested_on
