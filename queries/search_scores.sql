-- A proxy of a search: its kind (a known proxy, a program, or imported scores of others), the collection or the source
-- that its scores are from, how many of them are not finite (these rank last), and Kendall's tau-b (-1..1) between the
-- others and the test accuracies of the architectures searched among.
-- parameter: search TEXT 'latest' the search, or 'latest' for the one started last
WITH chosen AS (
    SELECT search FROM searches WHERE $search IN ('latest', search) ORDER BY started DESC, search DESC LIMIT 1
)
SELECT u.proxy, u.kind, u.source, u.non_finite, u.kendall
FROM chosen
JOIN search_scores AS u USING (search)
ORDER BY u.position
