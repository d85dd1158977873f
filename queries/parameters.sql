-- A parameter of a run's search with its value, in the order of EZNAS, 8.7; those that its representation (tree or
-- sequential) has no use for are left out.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    FROM runs WHERE $run IN ('latest', run) ORDER BY started DESC, run DESC LIMIT 1
)
UNPIVOT (
    SELECT
        representation,
        population::VARCHAR AS population,
        generations::VARCHAR AS generations,
        tournament::VARCHAR AS tournament,
        mu::VARCHAR AS mu,
        lambda_::VARCHAR AS lambda,
        crossover::VARCHAR AS crossover,
        mutation::VARCHAR AS mutation,
        CASE WHEN representation = 'tree' THEN min_depth::VARCHAR END AS min_depth,
        CASE WHEN representation = 'tree' THEN max_depth::VARCHAR END AS max_depth,
        CASE WHEN representation = 'sequential' THEN min_length::VARCHAR END AS min_length,
        CASE WHEN representation = 'sequential' THEN max_length::VARCHAR END AS max_length,
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
