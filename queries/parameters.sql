-- A parameter of a run's search with its value, in the order of EZNAS, 8.7.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    FROM runs WHERE $run IN ('latest', run) ORDER BY started DESC, run DESC LIMIT 1
)
UNPIVOT (
    SELECT
        population::VARCHAR AS population,
        generations::VARCHAR AS generations,
        tournament::VARCHAR AS tournament,
        mu::VARCHAR AS mu,
        lambda_::VARCHAR AS lambda,
        crossover::VARCHAR AS crossover,
        mutation::VARCHAR AS mutation,
        min_depth::VARCHAR AS min_depth,
        max_depth::VARCHAR AS max_depth,
        height_limit::VARCHAR AS height_limit,
        networks_per_task::VARCHAR AS networks_per_task,
        draw::VARCHAR AS draw,
        tasks_per_generation::VARCHAR AS tasks_per_generation,
        to_scalar,
        aggregation,
        fitness,
        probe_networks::VARCHAR AS probe_networks,
        seed::VARCHAR AS seed
    FROM chosen
) ON COLUMNS(*) INTO NAME parameter VALUE value
