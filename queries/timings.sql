-- brief: run: where the seconds went
-- A part of making the generations of a run: its wall-clock seconds in all, its share of the whole (0..1), its mean a
-- generation, and for `score` the milliseconds for each pair of a program and a network that was scored.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH spent AS (
    SELECT run, part, sum(seconds) AS seconds, avg(seconds) AS seconds_per_generation
    FROM timings
    WHERE run = chosen_run($run)
    GROUP BY run, part
),
pairs AS (
    SELECT run, sum(value) AS scored FROM counters WHERE counter = 'scored' GROUP BY run
)
SELECT
    s.part,
    s.seconds,
    s.seconds / nullif(max(s.seconds) FILTER (s.part = 'total') OVER (PARTITION BY s.run), 0) AS share,
    s.seconds_per_generation,
    CASE s.part WHEN 'score' THEN 1000 * s.seconds / nullif(p.scored, 0) END AS milliseconds_per_pair
FROM spent AS s
LEFT JOIN pairs AS p USING (run)
ORDER BY s.part = 'total', s.seconds DESC, s.part
