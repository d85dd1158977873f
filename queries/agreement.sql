-- brief: scores: scores of a proxy beside those of others
-- A known proxy in a collection beside the scores that others publish of it (`zcsr import benchmark`): whose, by which
-- name, and Spearman's rho and Kendall's tau-b (-1..1) between the two over the count of networks with both.
-- parameter: task TEXT 'all' the task, or 'all'
WITH renamed(program, proxy) AS (
    VALUES ('naswot', 'nwot'), ('jacob_cov', 'jacov')
),
paired AS (
    SELECT s.collection, s.task, s.program, p.source, p.proxy, s.arch, s.score AS ours, p.score AS theirs
    FROM network_scores AS s
    LEFT JOIN renamed AS r USING (program)
    JOIN proxy_scores AS p
        ON p.task = s.task AND p.arch = s.arch AND p.proxy = coalesce(r.proxy, s.program)
    WHERE s.program = s.text AND $task IN ('all', s.task) AND isfinite(s.score) AND isfinite(p.score)
)
SELECT
    p.task,
    p.collection,
    p.program AS name,
    c.batch_size,
    c.seed,
    p.source,
    p.proxy AS their_name,
    rho(p.ours, p.theirs, p.arch) AS spearman,
    tau(p.ours, p.theirs, p.arch) AS kendall,
    count(*) AS networks
FROM paired AS p
JOIN scored_collections AS c USING (collection, task)
GROUP BY p.task, p.collection, p.program, c.batch_size, c.seed, p.source, p.proxy
ORDER BY p.task, c.batch_size, c.seed, p.collection, p.program, p.source, p.proxy
