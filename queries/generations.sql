-- brief: run: what a generation did: valid, refused, seconds
-- A generation of a run: the best and median fitness of its valid individuals (-1..1), how many individuals are
-- valid (finite fitness) and how many are not, how many candidates were proposed and rejected for them, how many
-- program-network pairs were scored anew and how many were avoided because they were known, and seconds in all.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH population AS (
    SELECT
        run,
        generation,
        max(fitness) FILTER (isfinite(fitness)) AS best_fitness,
        median(fitness) FILTER (isfinite(fitness)) AS median_fitness,
        count(*) FILTER (isfinite(fitness)) AS valid,
        count(*) FILTER (NOT isfinite(fitness)) AS invalid
    FROM individuals
    GROUP BY run, generation
),
counted AS (
    SELECT
        run,
        generation,
        max(value) FILTER (counter = 'proposed') AS proposed,
        max(value) FILTER (counter = 'rejected') AS rejected,
        max(value) FILTER (counter = 'scored') AS scored,
        max(value) FILTER (counter = 'remembered') AS avoided
    FROM counters
    GROUP BY run, generation
)
SELECT * EXCLUDE (seconds), seconds
FROM generations
LEFT JOIN population USING (run, generation)
LEFT JOIN counted USING (run, generation)
WHERE run = chosen_run($run)
ORDER BY generation
