-- brief: run: best, quartiles and median of fitness by generation
-- A generation of a run: the best, the upper quartile, the median and the lower quartile of the fitness (-1..1) of its
-- individuals, over those whose fitness is finite.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
SELECT
    generation,
    max(fitness) AS best_fitness,
    quantile_cont(fitness, 0.75) AS upper_fitness,
    median(fitness) AS median_fitness,
    quantile_cont(fitness, 0.25) AS lower_fitness
FROM individuals
WHERE run = chosen_run($run) AND isfinite(fitness)
GROUP BY generation
ORDER BY generation
