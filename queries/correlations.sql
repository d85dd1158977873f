-- A program of a run on a task: Kendall's tau-b and Spearman's rho (-1..1) between its scores and the accuracies, over
-- the count of networks with both, on the networks of evolution (role evolve) or of the test (role test). Scores that
-- are not finite are left out; where seeds differ the mean accuracy counts.
-- parameter: run TEXT 'latest' the run, 'latest' for the one started last, or 'all'
-- parameter: role TEXT 'all' evolve, test, or 'all'
WITH chosen AS (
    SELECT run FROM runs
    WHERE $run IN ('all', run)
        OR ($run = 'latest' AND run = (SELECT run FROM runs ORDER BY started DESC, run DESC LIMIT 1))
),
paired AS (
    SELECT s.run, s.program, s.task, s.role, s.arch, s.score, a.accuracy
    FROM chosen
    JOIN scores AS s USING (run)
    JOIN tasks AS t USING (run, task)
    JOIN mean_accuracies AS a USING (task, metric, arch)
    WHERE $role IN ('all', s.role) AND isfinite(s.score)
),
ranked AS (
    SELECT
        run,
        program,
        task,
        role,
        kendall(list(score ORDER BY arch), list(accuracy ORDER BY arch)) AS kendall,
        spearman(list(score ORDER BY arch), list(accuracy ORDER BY arch)) AS spearman,
        count(*) AS networks
    FROM paired
    GROUP BY run, program, task, role
)
SELECT r.run, r.program, p.text, r.task, r.role, r.kendall, r.spearman, r.networks
FROM ranked AS r
JOIN programs AS p USING (run, program)
ORDER BY r.run, r.role DESC, r.task, r.kendall DESC NULLS LAST, r.program
