-- brief: runs: what came of each run on its test networks
-- A run, with what came of it: how it searched (algorithm, language, representation), its seed, the generations stored,
-- the program that it chose (by Algorithm 1 the fittest that was tested) with its size in nodes, the least and the mean
-- over the tasks of that program's Kendall tau-b on the test networks (-1..1, 0 where all scores are equal), both for
-- the number of parameters on the same networks (NULL where it was not compared with), the best fitness of the run
-- (-1..1), the candidates proposed and the share of the individuals among them (0..1), the share of individuals that
-- were recognised as a program seen before (0..1), the instructions of an individual on average and the share of all
-- instructions that reach the output (0..1; both NULL for trees, every node of which does), and the wall-clock seconds
-- that making the generations took.
-- parameter: runs TEXT '' names of runs with commas between them; '' for all
WITH chosen AS (
    SELECT run, algorithm, language, representation, seed, started
    FROM runs
    WHERE $runs = '' OR list_contains(list_transform(string_split($runs, ','), lambda one: trim(one)), run)
),
counted AS (
    SELECT run, sum(value)::BIGINT AS proposed FROM counters WHERE counter = 'proposed' GROUP BY run
),
spent AS (
    SELECT run, count(*) AS generations, sum(seconds) AS seconds FROM generations GROUP BY run
),
population AS (
    SELECT
        i.run,
        max(i.fitness) FILTER (isfinite(i.fitness)) AS best_fitness,
        count(*) AS individuals,
        count(*) FILTER (i.recognised_by <> 'new') AS recognised,
        avg(g.instructions) AS instructions,
        sum(g.reaching) / nullif(sum(g.instructions), 0) AS reaching_share
    FROM individuals AS i
    LEFT JOIN genotypes AS g ON g.run = i.run AND g.generation = i.generation AND g.slot = i.slot
    GROUP BY i.run
),
refused AS (
    SELECT DISTINCT p.run, p.program FROM programs AS p JOIN rejections AS r USING (run, text)
),
tested AS (
    SELECT run, program, min(coalesce(kendall, 0)) AS least, avg(coalesce(kendall, 0)) AS mean
    FROM run_correlations
    WHERE role = 'test'
    GROUP BY run, program
),
fittest AS (
    SELECT i.run, arg_max(t.program, (i.fitness, -i.generation, -i.slot)) AS program
    FROM individuals AS i
    JOIN tested AS t ON t.run = i.run AND t.program = i.same_as
    ANTI JOIN refused AS r ON r.run = i.run AND r.program = i.same_as
    WHERE isfinite(i.fitness)
    GROUP BY i.run
),
found AS (
    SELECT c.run, coalesce(f.program, b.program) AS program
    FROM chosen AS c
    LEFT JOIN finalists AS f ON f.run = c.run AND f.role = 'chosen'
    LEFT JOIN fittest AS b ON b.run = c.run
),
counting AS (
    SELECT r.run, t.least, t.mean FROM rivals AS r JOIN tested AS t USING (run, program) WHERE r.name = 'params'
)
SELECT
    c.run,
    c.algorithm,
    c.language,
    c.representation,
    c.seed,
    coalesce(s.generations, 0) AS generations,
    o.program,
    z.text,
    z.size,
    t.least,
    t.mean,
    k.least AS params_least,
    k.mean AS params_mean,
    p.best_fitness,
    n.proposed,
    p.individuals / nullif(n.proposed, 0) AS valid_share,
    p.recognised / nullif(p.individuals, 0) AS recognised_share,
    p.instructions,
    p.reaching_share,
    s.seconds
FROM chosen AS c
LEFT JOIN spent AS s USING (run)
LEFT JOIN counted AS n USING (run)
LEFT JOIN population AS p USING (run)
LEFT JOIN found AS o USING (run)
LEFT JOIN programs AS z ON z.run = o.run AND z.program = o.program
LEFT JOIN tested AS t ON t.run = o.run AND t.program = o.program
LEFT JOIN counting AS k ON k.run = c.run
ORDER BY c.algorithm, c.representation DESC, c.seed, c.started, c.run
