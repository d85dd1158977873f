-- brief: run: the versions of software
-- A piece of software that decides a run's numbers, with the version that the run was started with.
-- parameter: run TEXT 'latest' the run, or 'latest' for the one started last
WITH chosen AS (
    SELECT zcsr, python, torch, numpy, deap FROM runs WHERE run = chosen_run($run)
)
UNPIVOT chosen ON COLUMNS(*) INTO NAME software VALUE version
