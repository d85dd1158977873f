-- brief: run: the test networks with score and accuracy
-- A test network of a run with the score that a program gives it (NaN where it gives none) and its accuracy (percent,
-- the mean over seeds).
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
-- parameter: program TEXT 'all' the program's id, or 'all'
SELECT program, task, arch, score, accuracy
FROM run_scores
WHERE run = chosen_run($run) AND role = 'test' AND $program IN ('all', program)
ORDER BY program, position, arch
