-- A test network of a run with the score that a program gives it (NaN where it gives none) and its accuracy (percent,
-- the mean over seeds).
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
-- parameter: program TEXT 'all' the program's id, or 'all'
WITH chosen AS (
    SELECT run FROM runs WHERE $run IN ('latest', run) ORDER BY started DESC, run DESC LIMIT 1
)
SELECT s.program, s.task, s.arch, s.score, a.accuracy
FROM chosen
JOIN scores AS s USING (run)
JOIN tasks AS t USING (run, task)
JOIN mean_accuracies AS a USING (task, metric, arch)
WHERE s.role = 'test' AND $program IN ('all', s.program)
ORDER BY s.program, t.position, s.arch
