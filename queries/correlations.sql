-- brief: run: every tested program's tau and rho, by task
-- A program of a run on a task: Kendall's tau-b and Spearman's rho (-1..1) between its scores and the accuracies, over
-- the count of networks with both, on the networks of evolution (role evolve) or of the test (role test). Scores that
-- are not finite are left out; where seeds differ the mean accuracy counts.
-- parameter: run TEXT 'latest' the run, 'latest' for the one started last, or 'all'
-- parameter: role TEXT 'all' evolve, test, or 'all'
SELECT r.run, r.program, p.text, r.task, r.role, r.kendall, r.spearman, r.networks
FROM run_correlations AS r
JOIN programs AS p USING (run, program)
WHERE ($run = 'all' OR r.run = chosen_run($run)) AND $role IN ('all', r.role)
ORDER BY r.run, r.role DESC, r.task, r.kendall DESC NULLS LAST, r.program
