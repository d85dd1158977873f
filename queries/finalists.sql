-- A tested program of a run on one of its tasks: its role (last: the fittest of the last generation; seen: one of the
-- two fittest others of any generation; other: tested by request), the fitness for which it was chosen and its
-- generation, and Kendall's tau-b and Spearman's rho (-1..1) with the accuracies over the count of test networks.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
SELECT
    s.program,
    p.text,
    coalesce(f.role, 'other') AS role,
    f.fitness,
    f.generation,
    s.task,
    tau(s.score, s.accuracy, s.arch) AS kendall,
    rho(s.score, s.accuracy, s.arch) AS spearman,
    count(*) AS networks
FROM run_scores AS s
JOIN programs AS p USING (run, program)
LEFT JOIN finalists AS f USING (run, program)
WHERE s.run = chosen_run($run) AND s.role = 'test' AND isfinite(s.score)
GROUP BY s.program, p.text, f.role, f.fitness, f.generation, s.task
ORDER BY f.role NULLS LAST, f.fitness DESC, s.program, s.task
