-- brief: run: networks that evolve and that test, by task
-- A task of a run and a role (evolve or test): how many networks it has, and of their accuracies (percent) how many
-- are known and the lowest, median and highest.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
SELECT
    t.task,
    s.role,
    t.metric,
    count(*) AS networks,
    count(a.accuracy) AS trained,
    min(a.accuracy) AS lowest,
    median(a.accuracy) AS median,
    max(a.accuracy) AS highest
FROM tasks AS t
JOIN split AS s USING (run, task)
LEFT JOIN mean_accuracies AS a ON a.task = t.task AND a.metric = t.metric AND a.arch = s.arch
WHERE run = chosen_run($run)
GROUP BY t.position, t.task, s.role, t.metric
ORDER BY t.position, s.role
