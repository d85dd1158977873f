-- A tested program of a run on one of its tasks: its role (last: the fittest of the last generation; seen: one of the
-- two fittest others of any generation; other: tested by request), the fitness for which it was chosen and its
-- generation, and Kendall's tau-b and Spearman's rho (-1..1) with the accuracies over the count of test networks.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    SELECT run FROM runs WHERE $run IN ('latest', run) ORDER BY started DESC, run DESC LIMIT 1
),
refused AS (
    SELECT DISTINCT run, p.program
    FROM chosen
    JOIN programs AS p USING (run)
    JOIN rejections AS r USING (run, text)
),
fit AS (
    SELECT
        run,
        i.same_as AS program,
        i.fitness,
        i.generation,
        i.generation = (SELECT max(g.generation) FROM generations AS g WHERE g.run = i.run) AS is_last,
        row_number() OVER (
            PARTITION BY run, i.generation ORDER BY i.fitness DESC, i.generation, i.slot
        ) AS place_in_generation,
        row_number() OVER (
            PARTITION BY run, i.same_as ORDER BY i.fitness DESC, i.generation, i.slot
        ) AS place_in_life,
        i.slot
    FROM chosen
    JOIN individuals AS i USING (run)
    ANTI JOIN refused AS r ON r.run = i.run AND r.program = i.same_as
    WHERE isfinite(i.fitness)
),
last AS (
    SELECT run, program, 'last' AS role, fitness, generation
    FROM fit
    WHERE place_in_generation = 1 AND is_last
),
seen AS (
    SELECT run, program, 'seen' AS role, fitness, generation
    FROM fit
    ANTI JOIN last USING (run, program)
    WHERE place_in_life = 1
    ORDER BY fitness DESC, generation, slot
    LIMIT 2
),
finalists AS (
    FROM last UNION ALL FROM seen
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
    r.program,
    p.text,
    coalesce(f.role, 'other') AS role,
    f.fitness,
    f.generation,
    r.task,
    r.kendall,
    r.spearman,
    r.networks
FROM ranked AS r
JOIN programs AS p USING (run, program)
LEFT JOIN finalists AS f USING (run, program)
ORDER BY f.role NULLS LAST, f.fitness DESC, r.program, r.task
