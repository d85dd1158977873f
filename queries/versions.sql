-- A piece of software that decides a run's numbers, with the version that the run was started with.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    FROM runs WHERE $run IN ('latest', run) ORDER BY started DESC, run DESC LIMIT 1
)
UNPIVOT (SELECT zcsr, python, torch, numpy, deap FROM chosen) ON COLUMNS(*) INTO NAME software VALUE version
