-- brief: run: the chosen one beside known proxies, paired
-- A program or known proxy beside a run's finalist, on the same test networks of a task: the
-- finalist's Kendall tau (-1..1), the rival's, the difference and its paired bootstrap interval (95%), and the count of
-- networks with finite scores of both. The finalist is the one chosen, or the fittest of the last generation.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH finalist AS (
    SELECT run, program
    FROM finalists
    WHERE run = chosen_run($run) AND role IN ('chosen', 'last')
),

scored AS (
    SELECT
        r.name,
        r.position,
        s.position AS place,
        s.task,
        list(mine.score ORDER BY s.arch) AS own,
        list(s.score ORDER BY s.arch) AS others,
        list(s.accuracy ORDER BY s.arch) AS accuracy
    FROM finalist AS f
    JOIN rivals AS r USING (run)
    JOIN run_scores AS s ON s.run = r.run AND s.program = r.program AND s.role = 'test'
    JOIN run_scores AS mine
        ON mine.run = f.run AND mine.program = f.program AND mine.role = 'test'
        AND mine.task = s.task AND mine.arch = s.arch
    WHERE isfinite(s.score) AND isfinite(mine.score)
    GROUP BY ALL
),

measured AS (
    SELECT
        *,
        kendall(own, accuracy) AS tau,
        kendall(others, accuracy) AS rival_tau,
        kendall_difference_interval(own, others, accuracy) AS ends
    FROM scored
)

SELECT
    task,
    name AS rival,
    tau,
    rival_tau,
    tau - rival_tau AS difference,
    ends[1] AS low,
    ends[2] AS high,
    len(accuracy) AS networks
FROM measured
ORDER BY place, position
