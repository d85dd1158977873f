-- A run, by how its programs are represented (tree or sequential; EZNAS, appendix 8.2): its seed, the generations
-- stored, the best fitness (-1..1), Kendall's tau-b on the test networks of the fittest program that was tested (-1..1,
-- the mean over its tasks, 0 where all scores are equal), the candidates proposed and the share of them that were valid
-- (0..1), the share of individuals that were recognised as a program seen before (0..1), the mean nodes of its distinct
-- programs as trees, the mean instructions of the individuals and the share of all their instructions that reach the
-- output (0..1), and the wall-clock seconds that making the generations took. The instructions and their share are NULL
-- for trees, every node of which reaches the output.
-- parameter: runs TEXT '' names of runs with commas between them; '' for all
WITH chosen AS (
    SELECT run, representation, seed, started
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
    SELECT run, program, avg(coalesce(kendall, 0)) AS test_kendall
    FROM run_correlations
    WHERE role = 'test'
    GROUP BY run, program
),
fittest AS (
    SELECT i.run, arg_max(t.test_kendall, (i.fitness, -i.generation, -i.slot)) AS test_kendall
    FROM individuals AS i
    JOIN tested AS t ON t.run = i.run AND t.program = i.same_as
    ANTI JOIN refused AS r ON r.run = i.run AND r.program = i.same_as
    WHERE isfinite(i.fitness)
    GROUP BY i.run
)
SELECT
    c.run,
    c.representation,
    c.seed,
    coalesce(s.generations, 0) AS generations,
    p.best_fitness,
    f.test_kendall,
    n.proposed,
    p.individuals / nullif(n.proposed, 0) AS valid_share,
    p.recognised / nullif(p.individuals, 0) AS recognised_share,
    (SELECT avg(z.size) FROM programs AS z WHERE z.run = c.run AND z.generation IS NOT NULL) AS nodes,
    p.instructions,
    p.reaching_share,
    s.seconds
FROM chosen AS c
LEFT JOIN spent AS s USING (run)
LEFT JOIN counted AS n USING (run)
LEFT JOIN population AS p USING (run)
LEFT JOIN fittest AS f USING (run)
ORDER BY c.representation DESC, c.seed, c.started, c.run
