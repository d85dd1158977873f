-- brief: run: programs of a search over fronts, the best first
-- A program that a search over fronts scored, the best first: least and mean tau over the tasks (-1..1), size (nodes),
-- cost of a score (passes: 1 for a forward pass, 2 for a backward one, 3 for a known proxy), whether it looks at sizes
-- alone, how it came about, and the generation.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
-- parameter: program TEXT 'all' id of a program, or 'all'
SELECT
    program,
    text,
    least,
    mean,
    size,
    cost,
    shape_only,
    origin,
    generation
FROM evaluated
WHERE run = chosen_run($run) AND $program IN ('all', program)
ORDER BY least + mean DESC, size, program
