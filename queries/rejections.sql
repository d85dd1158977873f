-- brief: run: why programs were refused
-- A reason for which a run refused programs: how many distinct texts, how many proposals of them, their share of all
-- refused proposals (0..1), and one of the texts with its detail.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
SELECT
    r.reason,
    count(DISTINCT r.text) AS programs,
    sum(r.count)::BIGINT AS proposals,
    sum(r.count) / nullif(sum(sum(r.count)) OVER (), 0) AS share,
    arg_min(r.text, (r.generation, length(r.text), r.text)) AS example,
    arg_min(r.detail, (r.generation, length(r.text), r.text)) AS detail
FROM rejections AS r
WHERE r.run = chosen_run($run)
GROUP BY r.reason
ORDER BY proposals DESC, r.reason
