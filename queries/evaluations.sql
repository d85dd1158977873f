-- brief: run: evaluations made and avoided (--preset paper)
-- A cause for which evaluations were or were not made in a run: of candidates, those decided by their text alone
-- (known) or run on the probe networks (probed); of individuals, those recognised by each stage; of program-network
-- pairs, those scored anew and those remembered. Each with its count and its share of its kind (0..1), and whether
-- it avoided an evaluation.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH causes (position, kind, cause, avoided) AS (
    VALUES
        (1, 'candidates', 'known', true),
        (2, 'candidates', 'probed', false),
        (3, 'individuals', 'new', false),
        (4, 'individuals', 'text', true),
        (5, 'individuals', 'normal_form', true),
        (6, 'individuals', 'sympy', true),
        (7, 'individuals', 'fingerprint', true),
        (8, 'individuals', 'same_order', true),
        (9, 'pairs', 'remembered', true),
        (10, 'pairs', 'scored', false)
),
counted AS (
    SELECT counter AS cause, sum(value)::BIGINT AS count
    FROM counters
    WHERE run = chosen_run($run)
    GROUP BY counter
)
SELECT
    c.kind,
    c.cause,
    c.avoided,
    n.count,
    n.count / nullif(sum(n.count) OVER (PARTITION BY c.kind), 0) AS share
FROM causes AS c
JOIN counted AS n USING (cause)
ORDER BY c.position
