-- brief: searches: the proxies that guided a search
-- A proxy of a search: its kind (a known proxy, a program, or imported scores of others), the collection or the source
-- that its scores are from, how many of them are not finite (these rank last), and Kendall's tau-b (-1..1) between the
-- others and the test accuracies of the architectures searched among.
-- parameter: search TEXT 'latest' the search, or 'latest' for the one started last
SELECT proxy, kind, source, non_finite, kendall
FROM search_scores
WHERE search = chosen_search($search)
ORDER BY position
