-- brief: runs: best fitness of each run by generation
-- A generation of a run: the best fitness in it (-1..1), the share of the instructions of its population that reach the
-- output (0..1; NULL for trees, every node of which does), and the wall-clock seconds that making the generations took
-- up to its end.
-- parameter: runs TEXT '' names of runs with commas between them; '' for all
WITH elapsed AS (
    SELECT run, generation, sum(seconds) OVER (PARTITION BY run ORDER BY generation) AS seconds FROM generations
)
SELECT
    i.run,
    i.generation,
    max(i.fitness) FILTER (isfinite(i.fitness)) AS best_fitness,
    sum(g.reaching) / nullif(sum(g.instructions), 0) AS reaching_share,
    any_value(e.seconds) AS seconds
FROM individuals AS i
LEFT JOIN genotypes AS g ON g.run = i.run AND g.generation = i.generation AND g.slot = i.slot
LEFT JOIN elapsed AS e ON e.run = i.run AND e.generation = i.generation
WHERE $runs = '' OR list_contains(list_transform(string_split($runs, ','), lambda one: trim(one)), i.run)
GROUP BY i.run, i.generation
ORDER BY i.run, i.generation
