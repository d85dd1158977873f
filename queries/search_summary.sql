-- brief: searches: how soon each strategy reaches the target
-- A strategy of a search: how many of its repeats reach the target within the budget, how many networks it trains for
-- that (the mean over the repeats that reach it; the median over all, where one that does not reach it counts as more
-- than the budget, and NULL if that is where the median lies), and the mean of the test accuracy (percent) at the end
-- of the budget with the ends of the 95% interval of Student's t. A repeat reaches the target when the network with the
-- highest guiding accuracy so far has that test accuracy. The proxy is NULL for strategies without one.
-- parameter: search TEXT 'latest' the search, or 'latest' for the one started last
-- parameter: target DOUBLE 0 the test accuracy to reach, percent; 0 for the target of the search
WITH chosen AS (
    SELECT search, coalesce(nullif($target, 0), target) AS target FROM searches
    WHERE search = chosen_search($search)
),
each_repeat AS (
    SELECT
        t.strategy,
        t.proxy,
        t.repeat,
        c.target,
        min(t.step) FILTER (t.best_test_accuracy >= c.target) AS networks,
        arg_max(t.best_test_accuracy, t.step) AS test_accuracy
    FROM chosen AS c
    JOIN search_steps AS t USING (search)
    GROUP BY t.strategy, t.proxy, t.repeat, c.target
),
gathered AS MATERIALIZED (
    SELECT
        strategy,
        proxy,
        target,
        count(*) AS repeats,
        count(networks) AS reached,
        avg(networks) AS networks_mean,
        median(coalesce(networks, 'infinity'::DOUBLE)) AS networks_median,
        avg(test_accuracy) AS test_accuracy_mean,
        mean_interval(list(test_accuracy ORDER BY repeat)) AS ends
    FROM each_repeat
    GROUP BY strategy, proxy, target
)
SELECT
    * EXCLUDE (ends) REPLACE (CASE WHEN isfinite(networks_median) THEN networks_median END AS networks_median),
    ends[1] AS test_accuracy_low,
    ends[2] AS test_accuracy_high
FROM gathered
ORDER BY proxy NULLS FIRST, list_position(['random', 'evolution', 'warmup', 'moves', 'warmup_moves'], strategy)
