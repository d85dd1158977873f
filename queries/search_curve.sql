-- brief: searches: best accuracy by the number of trained networks
-- A strategy of a search after it has trained a number of networks: the mean over its repeats, with the ends of the 95%
-- interval of Student's t (NULL for one repeat), of the test accuracy (percent) of the network that has the highest
-- guiding accuracy so far. The proxy is NULL for strategies without one.
-- parameter: search TEXT 'latest' the search, or 'latest' for the one started last
-- parameter: every INTEGER 1 rows for every so many networks only
WITH gathered AS MATERIALIZED (
    SELECT
        strategy,
        proxy,
        step AS networks,
        count(*) AS repeats,
        avg(best_test_accuracy) AS test_accuracy_mean,
        mean_interval(list(best_test_accuracy ORDER BY repeat)) AS ends
    FROM search_steps
    WHERE search = chosen_search($search) AND step % $every = 0
    GROUP BY strategy, proxy, step
)
SELECT * EXCLUDE (ends), ends[1] AS test_accuracy_low, ends[2] AS test_accuracy_high
FROM gathered
ORDER BY
    proxy NULLS FIRST,
    list_position(['random', 'evolution', 'warmup', 'moves', 'warmup_moves'], strategy),
    networks
