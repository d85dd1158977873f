-- brief: store: what commands took, in energy and CO2e
-- A command (kind: evolve, test, ...) with what it cost on behalf of a run, a search or a program, or on tasks apart from
-- these, over all its sessions: their number, the hours by the clock, the CPU hours of all processes, the memory (GB of
-- 10^9 bytes, the peak of the largest session), the energy (kWh) and the CO2e (grams) of these by the method of Green
-- Algorithms (Lannelongue, Grealey and Inouye 2021), the CO2e as a share of the 358.6 g that the EZNAS paper reports for
-- one evolution, and the energy (kWh) that a meter measured of the whole machine (NULL without `--meter`). Only what was
-- measured is here, and graphics cards are not in the estimate.
-- parameter: run TEXT 'all' the run, 'latest' for the one started last, 'all', or '' for what is no part of a run
-- parameter: search TEXT 'all' the search, 'latest' for the one started last, 'all', or '' for what is no part of one
-- parameter: program TEXT 'all' id of the program that `zcsr explain` looked at, 'all', or '' for what is about none
-- parameter: kind TEXT 'all' the command by its name, or 'all'
-- parameter: watts_per_core DOUBLE 12 what a core draws at full use, W
-- parameter: watts_per_gb DOUBLE 0.3725 what a GB of memory draws, W
-- parameter: pue DOUBLE 1.67 what the computing centre draws for each watt that reaches the computer
-- parameter: carbon_intensity DOUBLE 475 grams of CO2e for a kWh of electricity
SELECT
    run,
    search,
    program,
    kind,
    array_to_string(tasks, ' ') AS tasks,
    count(*) AS sessions,
    sum(seconds / 3600 ORDER BY session) AS hours,
    sum(cpu_seconds / 3600 ORDER BY session) AS cpu_hours,
    max(peak_gb) AS gb,
    sum(
        (cpu_seconds / 3600 * $watts_per_core + seconds / 3600 * coalesce(peak_gb, 0) * $watts_per_gb) * $pue / 1000
        ORDER BY session
    ) AS kwh,
    kwh * $carbon_intensity AS grams,
    kwh * $carbon_intensity / 358.6 AS share_of_paper,
    sum(metered_kwh ORDER BY session) AS metered_kwh
FROM costs
WHERE
    $kind IN ('all', kind)
    AND $program IN ('all', coalesce(program, ''))
    AND ($run IN ('all', coalesce(run, '')) OR ($run = 'latest' AND run = chosen_run('latest')))
    AND ($search IN ('all', coalesce(search, '')) OR ($search = 'latest' AND search = chosen_search('latest')))
GROUP BY ALL
ORDER BY min(started), run, search, program, kind, tasks
