-- brief: run: the parameters of the search
-- A parameter of a run's search with its value, in the order of EZNAS, 8.7; those that its representation (tree or
-- sequential) has no use for are left out.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    FROM runs WHERE run = chosen_run($run)
),
told AS (
    UNPIVOT (
        SELECT
            representation,
            COLUMNS(
                * EXCLUDE (run, status, started, seconds, command, zcsr, torch, numpy, deap, python, representation, seed)
            )::VARCHAR,
            seed::VARCHAR AS seed
        FROM chosen
    ) ON COLUMNS(*) INTO NAME parameter VALUE value
),
placed AS (
    SELECT *, row_number() OVER () AS place FROM told
)
SELECT rtrim(parameter, '_') AS parameter, value
FROM placed
WHERE parameter NOT LIKE (SELECT CASE representation WHEN 'tree' THEN '%_length' ELSE '%_depth' END FROM chosen)
ORDER BY
    CASE WHEN parameter LIKE '%_length' THEN (SELECT place FROM placed WHERE parameter = 'max_depth') ELSE place END,
    place
