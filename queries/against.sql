-- brief: scores: every measure beside one program, on the networks that all of them scored
-- A program or known proxy against one program on a task: Kendall's tau-b (-1..1) with the ends of its 95% bootstrap
-- interval, and among the tenth of the networks with the highest accuracies; Spearman's rho that is left once the ranks
-- of the number of parameters are regressed out; and how much higher the program's tau is, with the paired interval of
-- that difference. All measures of a task are over the same networks: those with an accuracy and a finite score of each.
-- A measure is taken from the collection in which it has most of the networks that the program has, and left out where
-- these are fewer than `least`. The program itself comes first.
-- parameter: program TEXT 'eznas-a' the program's name, text or id
-- parameter: least INTEGER 30 networks that a measure must have in common with the program
-- parameter: metric TEXT 'test' the accuracies to rank by
WITH finite AS MATERIALIZED (
    SELECT task, collection, program, text, name, batch_size, arch, score, accuracy
    FROM scored_networks
    WHERE metric = $metric AND isfinite(score)
),
own AS (
    SELECT DISTINCT task, arch
    FROM finite
    WHERE $program IN (program, name, text)
),
chosen AS (
    SELECT task, program, collection
    FROM finite
    SEMI JOIN own USING (task, arch)
    GROUP BY task, program, collection, batch_size
    HAVING count(*) >= $least
    QUALIFY 1 = row_number() OVER (PARTITION BY task, program ORDER BY count(*) DESC, batch_size, collection)
),
shared AS MATERIALIZED (
    SELECT f.*
    FROM finite AS f
    JOIN chosen USING (task, program, collection)
    QUALIFY
        count(*) OVER (PARTITION BY f.task, f.arch)
        = (SELECT count(*) FROM chosen AS c WHERE c.task = f.task)
),
gathered AS (
    SELECT
        task,
        program,
        name,
        batch_size,
        $program IN (program, name, text) AS itself,
        list(score ORDER BY arch) AS scores,
        list(accuracy ORDER BY arch) AS accuracies
    FROM shared
    GROUP BY ALL
),
measured AS (
    SELECT
        g.*,
        kendall(g.scores, g.accuracies) AS tau,
        kendall_interval(g.scores, g.accuracies) AS ends,
        kendall_difference_interval(p.scores, g.scores, g.accuracies) AS apart,
        kendall(p.scores, g.accuracies) AS own_tau,
        z.scores AS parameters
    FROM gathered AS g
    JOIN gathered AS p ON p.task = g.task AND p.itself
    LEFT JOIN gathered AS z ON z.task = g.task AND z.program = 'params'
)
SELECT
    task,
    name,
    batch_size,
    tau,
    ends[1] AS low,
    ends[2] AS high,
    kendall_of_top(scores, accuracies, 0.1) AS kendall_of_top,
    partial_spearman(scores, accuracies, parameters) AS partial_spearman,
    CASE WHEN NOT itself THEN own_tau - tau END AS difference,
    CASE WHEN NOT itself THEN apart[1] END AS difference_low,
    CASE WHEN NOT itself THEN apart[2] END AS difference_high,
    len(accuracies) AS networks
FROM measured
ORDER BY task, itself DESC, tau DESC NULLS LAST, name
