-- brief: scores: what was scored in a collection
-- A program or known proxy that was scored in a collection (`zcsr test --task`), by its name where it has one and its
-- text otherwise, with its id, how many networks were scored, and how many scores are not finite.
-- parameter: collection TEXT 'all' the collection, or 'all'
WITH names AS (
    SELECT program, min(name) AS name FROM named_programs GROUP BY program
)
SELECT
    s.task,
    s.collection,
    coalesce(n.name, s.text) AS name,
    s.program,
    s.program = s.text AS proxy,
    count(*) AS networks,
    count(*) FILTER (NOT isfinite(s.score)) AS non_finite
FROM network_scores AS s
LEFT JOIN names AS n USING (program)
WHERE $collection IN ('all', s.collection)
GROUP BY s.task, s.collection, n.name, s.text, s.program
ORDER BY s.task, s.collection, proxy, coalesce(n.name, s.text)
