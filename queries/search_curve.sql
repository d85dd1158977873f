-- A strategy of a search after it has trained a number of networks: the mean over its repeats, with the ends of the 95%
-- interval of Student's t (NULL for one repeat), of the test accuracy (percent) of the network that has the highest
-- guiding accuracy so far. The proxy is NULL for strategies without one.
-- parameter: search TEXT 'latest' the search, or 'latest' for the one started last
-- parameter: every INTEGER 1 rows for every so many networks only
WITH chosen AS (
    SELECT search FROM searches WHERE $search IN ('latest', search) ORDER BY started DESC, search DESC LIMIT 1
),
gathered AS MATERIALIZED (
    SELECT
        t.strategy,
        t.proxy,
        t.step AS networks,
        count(*) AS repeats,
        avg(t.best_test_accuracy) AS mean,
        mean_interval(list(t.best_test_accuracy ORDER BY t.repeat)) AS ends
    FROM chosen
    JOIN search_steps AS t USING (search)
    WHERE t.step % $every = 0
    GROUP BY t.strategy, t.proxy, t.step
)
SELECT
    strategy,
    proxy,
    networks,
    repeats,
    mean AS test_accuracy_mean,
    ends[1] AS test_accuracy_low,
    ends[2] AS test_accuracy_high
FROM gathered
ORDER BY
    proxy NULLS FIRST,
    list_position(['random', 'evolution', 'warmup', 'moves', 'warmup_moves'], strategy),
    networks
