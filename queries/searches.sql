-- brief: searches: every search: task, budget, target
-- A search with a proxy (`zcsr search`): when it started (UTC), its task, the metric of the accuracies that guide it, how
-- many architectures it searches among, the networks that a search may train (budget), how many searches each strategy
-- makes (repeats), the parameters of aging evolution, the untrained networks scored for a warm-up, the neighbours scored
-- for a move (NULL for all), the target (percent of test accuracy), the seed, and the networks trained so far by all.
-- parameter: search TEXT 'all' the search, or 'all'
SELECT
    s.search,
    s.started,
    s.task,
    s.metric,
    s.architectures,
    s.budget,
    s.repeats,
    s.population,
    s.tournament,
    s.warmup,
    s.moves,
    s.target,
    s.seed,
    (SELECT count(*) FROM search_steps AS t WHERE t.search = s.search) AS trained
FROM searches AS s
WHERE $search IN ('all', s.search)
ORDER BY s.started, s.search
