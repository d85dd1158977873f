-- brief: run: the best programs by their fitness
-- A distinct program of a run, the best first: its highest fitness in any generation (-1..1), the highest mean of
-- its taus over the drawn tasks, the generation in which it first had that fitness, in how many generations it
-- lived, its size (nodes) and height (edges), its normal form and sympy form, and how it was recognised there.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
-- parameter: count INTEGER 20 how many programs at most
WITH means AS (
    SELECT run, generation, slot, avg(tau) AS mean_tau FROM taus GROUP BY run, generation, slot
),
lives AS (
    SELECT
        run,
        i.same_as AS program,
        max(i.fitness) AS best_fitness,
        max(mean_tau) AS best_mean_tau,
        count(DISTINCT i.generation) AS generations,
        arg_min(
            {'generation': i.generation, 'recognised_by': i.recognised_by}, (-i.fitness, i.generation, i.slot)
        ) AS best
    FROM individuals AS i
    LEFT JOIN means USING (run, generation, slot)
    WHERE run = chosen_run($run) AND isfinite(i.fitness)
    GROUP BY run, i.same_as
)
SELECT
    l.program,
    p.text,
    l.best_fitness,
    l.best_mean_tau,
    l.best.generation AS generation,
    l.generations,
    p.size,
    p.height,
    p.normal_form,
    p.sympy,
    l.best.recognised_by AS recognised_by
FROM lives AS l
JOIN programs AS p USING (run, program)
ORDER BY l.best_fitness DESC, l.best_mean_tau DESC, l.program
LIMIT $count
