-- A generation of the runs of a representation (tree or sequential; EZNAS, appendix 8.2): how many of the runs have
-- it, the mean, lowest and highest over them of the best fitness in that generation (-1..1), of the share of the
-- instructions of the population that reach the output (0..1; NULL for trees, every node of which does), and of the
-- wall-clock seconds that making the generations took up to its end.
-- parameter: runs TEXT '' names of runs with commas between them; '' for all
WITH chosen AS (
    SELECT run, representation
    FROM runs
    WHERE $runs = '' OR list_contains(list_transform(string_split($runs, ','), lambda one: trim(one)), run)
),
each_run AS (
    SELECT
        c.representation,
        i.run,
        i.generation,
        max(i.fitness) FILTER (isfinite(i.fitness)) AS best_fitness,
        sum(g.reaching) / nullif(sum(g.instructions), 0) AS reaching_share
    FROM chosen AS c
    JOIN individuals AS i USING (run)
    LEFT JOIN genotypes AS g ON g.run = i.run AND g.generation = i.generation AND g.slot = i.slot
    GROUP BY c.representation, i.run, i.generation
),
elapsed AS (
    SELECT run, generation, sum(seconds) OVER (PARTITION BY run ORDER BY generation) AS seconds FROM generations
)
SELECT
    r.representation,
    r.generation,
    count(*) AS runs,
    avg(r.best_fitness) AS best_fitness_mean,
    min(r.best_fitness) AS best_fitness_low,
    max(r.best_fitness) AS best_fitness_high,
    avg(r.reaching_share) AS reaching_share_mean,
    min(r.reaching_share) AS reaching_share_low,
    max(r.reaching_share) AS reaching_share_high,
    avg(e.seconds) AS seconds_mean,
    min(e.seconds) AS seconds_low,
    max(e.seconds) AS seconds_high
FROM each_run AS r
LEFT JOIN elapsed AS e USING (run, generation)
GROUP BY r.representation, r.generation
ORDER BY r.representation DESC, r.generation
