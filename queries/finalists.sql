-- brief: run: the programs chosen and tested, and how they rank
-- A tested program of a run on one of its tasks: its role (last: the fittest of the last generation; seen: one of the
-- two fittest others of any generation; chosen, highest, simplest: of a search over fronts, see the table finalists;
-- other: tested by request), the fitness for which it was chosen and its
-- generation, and Kendall's tau-b and Spearman's rho (-1..1) with the accuracies over the count of test networks.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
SELECT
    r.program,
    p.text,
    coalesce(f.role, 'other') AS role,
    f.fitness,
    f.generation,
    r.task,
    r.kendall,
    r.spearman,
    r.networks
FROM run_correlations AS r
JOIN programs AS p USING (run, program)
LEFT JOIN finalists AS f USING (run, program)
WHERE r.run = chosen_run($run) AND r.role = 'test'
    AND (f.role IS NOT NULL OR r.program NOT IN (SELECT x.program FROM rivals AS x WHERE x.run = r.run))
ORDER BY f.role NULLS LAST, f.fitness DESC, r.program, r.task
