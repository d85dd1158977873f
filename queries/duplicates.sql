-- A stage of recognition in a run (new: not recognised; then text, normal_form, sympy, fingerprint): how many
-- individuals it decided, their share of the run's individuals (0..1), and how many distinct programs they are.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    SELECT run FROM runs WHERE $run IN ('latest', run) ORDER BY started DESC, run DESC LIMIT 1
)
SELECT
    i.recognised_by AS stage,
    count(*) AS individuals,
    count(*) / sum(count(*)) OVER () AS share,
    count(DISTINCT i.same_as) AS programs
FROM chosen
JOIN individuals AS i USING (run)
GROUP BY i.recognised_by
ORDER BY list_position(['new', 'text', 'normal_form', 'sympy', 'fingerprint'], stage)
