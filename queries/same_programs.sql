-- brief: runs: programs that several runs found
-- A distinct program of the store's runs that has one of the given keys: its id, text, size and height, how many runs
-- have it, its highest fitness in any of them (-1..1, each over the run's own tasks), and its keys. With the defaults
-- every program is one.
-- parameter: program TEXT 'all' the program's id, or 'all' for every program
-- parameter: normal_form TEXT '' the normal form (`zcsr.sameness.recognise.program_keys`)
-- parameter: sympy TEXT '' the sympy form
-- parameter: fingerprint TEXT '' the fingerprint
WITH fitnesses AS (
    SELECT run, same_as AS program, max(fitness) AS best_fitness
    FROM individuals
    WHERE isfinite(fitness)
    GROUP BY run, same_as
)
SELECT
    p.program,
    any_value(p.text) AS text,
    any_value(p.size) AS size,
    any_value(p.height) AS height,
    count(DISTINCT p.run) AS runs,
    max(f.best_fitness) AS best_fitness,
    any_value(p.normal_form) AS normal_form,
    any_value(p.sympy) AS sympy,
    any_value(p.fingerprint) AS fingerprint
FROM programs AS p
LEFT JOIN fitnesses AS f USING (run, program)
WHERE $program IN ('all', p.program)
    OR p.normal_form = $normal_form
    OR p.sympy = $sympy
    OR p.fingerprint = $fingerprint
GROUP BY p.program
ORDER BY best_fitness DESC NULLS LAST, p.program
