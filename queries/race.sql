-- brief: run: what the race for columns spared
-- A count of a search over fronts, over the whole run: of new columns, how many it asked for; of pairs of one and a
-- network, those computed and those spared by the race; of programs and formulas of known columns, those scored,
-- those that rank as a smaller one does, and those that look at sizes alone.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH causes (position, kind, cause) AS (
    VALUES
        (1, 'columns', 'columns'),
        (2, 'pairs', 'computed'),
        (3, 'pairs', 'spared'),
        (4, 'programs', 'scored'),
        (5, 'programs', 'same_order'),
        (6, 'programs', 'shape_only')
)
SELECT
    c.kind,
    c.cause,
    sum(n.value)::BIGINT AS count
FROM causes AS c
JOIN counters AS n ON n.counter = c.cause
WHERE n.run = chosen_run($run)
GROUP BY c.kind, c.cause
ORDER BY min(c.position)
