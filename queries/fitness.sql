-- A generation of a run: the best, the upper quartile, the median and the lower quartile of the fitness (-1..1) of its
-- individuals, over those whose fitness is finite.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    SELECT run FROM runs WHERE $run IN ('latest', run) ORDER BY started DESC, run DESC LIMIT 1
)
SELECT
    generation,
    max(fitness) AS best_fitness,
    quantile_cont(fitness, 0.75) AS upper_fitness,
    median(fitness) AS median_fitness,
    quantile_cont(fitness, 0.25) AS lower_fitness
FROM chosen
JOIN individuals USING (run)
WHERE isfinite(fitness)
GROUP BY generation
ORDER BY generation
