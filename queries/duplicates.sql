-- brief: run: how programs were recognised as seen before
-- A stage of recognition in a run (new: not recognised; then text, normal_form, sympy, fingerprint, and
-- same_order for programs of another value that rank alike): how many individuals it decided, their share of the run's individuals (0..1), and how many distinct programs they are.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
SELECT
    recognised_by AS stage,
    count(*) AS individuals,
    count(*) / sum(count(*)) OVER () AS share,
    count(DISTINCT same_as) AS programs
FROM individuals
WHERE run = chosen_run($run)
GROUP BY recognised_by
ORDER BY list_position(['new', 'text', 'normal_form', 'sympy', 'fingerprint', 'same_order'], stage)
