-- brief: runs: every run: state, tasks, generations, best fitness
-- A run: how it stands, when it started (UTC), how long it took (seconds, all sessions), the generations stored,
-- the distinct programs found, its tasks, the best fitness (-1..1) and the seed.
SELECT
    r.run,
    r.status,
    r.started,
    r.seconds,
    (SELECT count(*) FROM generations AS g WHERE g.run = r.run) AS generations,
    (SELECT count(*) FROM programs AS p WHERE p.run = r.run AND p.generation IS NOT NULL) AS programs,
    (SELECT string_agg(t.task, ' ' ORDER BY t.position) FROM tasks AS t WHERE t.run = r.run) AS tasks,
    (SELECT max(i.fitness) FROM individuals AS i WHERE i.run = r.run AND isfinite(i.fitness)) AS best_fitness,
    r.seed
FROM runs AS r
ORDER BY r.started, r.run
