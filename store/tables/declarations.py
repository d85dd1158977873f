"""The tables, a row each in the order of the reference: all that is known of their columns, files and views.

What makes the index, finds and checks the files and writes the reference reads it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from zcsr.evolve.config import EvolveConfig
from zcsr.nas.config import SearchConfig
from zcsr.networks.config import StatisticsConfig
from zcsr.store.tables import records
from zcsr.store.tables.table import Column, Source, Table, Type, columns

ACCURACIES = "accuracies/*/*/*.parquet"
NETWORK_SCORES = "scores/*/*.parquet"
PROXY_SCORES = "proxy_scores/*/*/*.parquet"
SEARCH_STEPS = "searches/*/steps.parquet"
SUMMARIES = "statistics/*/summary-*.parquet"
RUN = "runs/{run}/"
SPLIT, FINALISTS, TESTS, HELD_OUT = (
    f"{RUN}{name}.parquet" for name in ("split", "finalists", "tests/*", "held_out/*")
)
GENERATION = f"{RUN}generations/{{generation}}/"

_RECORD_OF_RUN = f"{RUN}run.json"
_RECORD_OF_SEARCH = "searches/{search}/search.json"

# Columns -------------------------------------------------------------------------------------------------------

_SQL_TYPES: Mapping[str, Type] = {"int": "BIGINT", "int | None": "BIGINT", "float": "DOUBLE"}


def _parameters(config: type) -> tuple[Column, ...]:
    """The parameters of a configuration as columns; what is no number is text."""
    return tuple(
        Column(one.name, _SQL_TYPES.get(str(one.type), "VARCHAR"), one.metadata["meaning"])
        for one in fields(config)
    )


_KNOWN: dict[str, tuple[Column, ...]] = {
    config.__name__: _parameters(config) for config in (EvolveConfig, StatisticsConfig, SearchConfig)
}
"""What a name alone stands for in the columns of a table: a column that means the same in most, or several."""

_KNOWN |= {one.name: (one,) for one in _KNOWN["StatisticsConfig"] if one.name in ("batch_size", "pattern", "loss")}
_KNOWN |= {
    column.name: (column,)
    for column in columns("""
        task VARCHAR space and dataset, as in `nasbench201:cifar10`
        space VARCHAR the search space
        dataset VARCHAR the dataset
        metric VARCHAR what was measured: `test`, `validation`, ...
        arch VARCHAR the architecture, as the space writes it
        accuracy DOUBLE percent, the mean over seeds and sources
        run VARCHAR the run
        role VARCHAR `evolve` or `test`
        generation BIGINT the generation, from 0
        slot BIGINT place in the population, from 0
        role VARCHAR `evolve` or `test`
        program VARCHAR id of the program
        text VARCHAR the program as text
        size BIGINT nodes of its tree
        height BIGINT edges from its root to its deepest leaf
        score DOUBLE higher should be better; NaN where the program gives none
        collection VARCHAR id of the collection
        images VARCHAR the image set that the minibatch is drawn from
        search VARCHAR the search
        started TIMESTAMP when it started, UTC
        seconds DOUBLE wall-clock
        command VARCHAR the command that started it
        zcsr VARCHAR version of zcsr that started it
    """)
}
_KNOWN["what_scored"] = columns("""
    program VARCHAR id of the program, or the known proxy's name
    text VARCHAR the program as text, or the known proxy's name
""")
_KNOWN["score_or_none"] = columns("score DOUBLE higher should be better; NaN where there is none")
_KNOWN["how_scored"] = columns(
    """
    images VARCHAR the image set; NULL where no record says
    batch_size
    seed BIGINT seed of the weights, the minibatch and the noise
    pattern loss
    initialisation VARCHAR by whose rules weights are drawn; NULL where no record says
    conditions VARCHAR equal for collections of one task that differ in batch size, seed, pattern and loss at most
    """,
    _KNOWN,
)


_TASK_OF_FILE = {"task": "r.space || ':' || r.dataset"}


def _columns(text: str) -> tuple[Column, ...]:
    return columns(text, _KNOWN)


def _of_generation(name: str, optional: bool = False) -> tuple[Source, ...]:
    return (Source(f"{GENERATION}{name}.parquet", optional=optional),)


def _of_itself(**given: str) -> tuple[Source, ...]:
    return (Source(f"{GENERATION}generation.parquet", given),)


# Views that are more than what is stored; of what they give, a user sees the columns of the table ----------------

_SCORED_COLLECTIONS = """
SELECT
    * REPLACE (
        coalesce(batch_size, TRY_CAST(of_id.batch_size AS BIGINT)) AS batch_size,
        coalesce(seed, TRY_CAST(of_id.seed AS BIGINT)) AS seed,
        coalesce(pattern, nullif(of_id.pattern, '')) AS pattern,
        coalesce(loss, nullif(of_id.loss, '')) AS loss
    ),
    CASE
        WHEN c.collection IS NULL THEN s.collection
        ELSE concat_ws(' ', images, noise_variance, initialisation, dtype, separable)
    END AS conditions
FROM (
    SELECT DISTINCT
        collection,
        task,
        regexp_extract(
            collection,
            '-b(\\d+)-s(-?\\d+)-([a-z]+)-([a-z_]+)-[0-9a-f]+$',
            ['batch_size', 'seed', 'pattern', 'loss']
        ) AS of_id
    FROM stored.network_scores
) AS s
LEFT JOIN collections AS c USING (collection)
"""
"""What no record says is read from the collection's id, which tells neither `images` nor `initialisation`."""

_SCORED_NETWORKS = """
SELECT * REPLACE (coalesce(name, text) AS name)
FROM network_scores
JOIN scored_collections USING (collection, task)
JOIN mean_accuracies USING (task, arch)
LEFT JOIN (SELECT program, min(name) AS name FROM named_programs GROUP BY program) USING (program)
"""

_RUN_CORRELATIONS = """
SELECT
    run,
    role,
    program,
    task,
    tau(score, accuracy, arch) AS kendall,
    rho(score, accuracy, arch) AS spearman,
    count(*) AS networks
FROM run_scores
WHERE isfinite(score)
GROUP BY run, role, program, task
"""

_PROGRAMS = """
FROM stored.programs
UNION ALL BY NAME
SELECT DISTINCT ON (run, program) * FROM stored.tested AS t
WHERE NOT EXISTS (FROM stored.programs AS p WHERE p.run = t.run AND p.program = t.program)
"""

_FINALISTS = """
FROM stored.finalists
UNION ALL BY NAME
SELECT run, unnest(undecided_finalists(run), recursive := true) FROM stored.runs
WHERE algorithm = 'generations' AND run NOT IN (SELECT run FROM stored.finalists)
"""
"""Those of Algorithm 1 that no file says yet are decided when a query asks; over fronts it takes scores first."""

# The tables ----------------------------------------------------------------------------------------------------

TABLES: tuple[Table, ...] = (
    Table(
        "accuracies",
        "An accuracy of a network, measured once: by `zcsr train`, `zcsr import accuracies` or `zcsr import "
        "benchmark`, or come with zcsr.",
        _columns("""
            task space dataset metric arch
            seed BIGINT seed of the training
            accuracy DOUBLE percent
            source VARCHAR where it is from: `train`, or the table's file name or benchmark
        """),
        (Source(ACCURACIES, _TASK_OF_FILE),),
    ),
    Table(
        "mean_accuracies",
        "The accuracy of a network: the mean over its seeds and sources. Reports and queries rank by this.",
        _columns("""
            task metric arch accuracy
        """),
        view="SELECT task, metric, arch, avg(accuracy) AS accuracy FROM accuracies GROUP BY task, metric, arch",
    ),
    Table(
        "runs",
        "A run of `zcsr evolve`, with its parameters and versions.",
        _columns("""
            run
            status VARCHAR `running`, `finished` or `interrupted`; a killed run stays `running`
            started
            seconds DOUBLE wall-clock, all sessions
            command zcsr
            torch VARCHAR version
            numpy VARCHAR version
            deap VARCHAR version
            python VARCHAR version
            EvolveConfig
        """),
        (Source(_RECORD_OF_RUN, rows=records.run, head=True),),
    ),
    Table(
        "tasks",
        "A task of a run.",
        _columns("""
            run
            position BIGINT the order of the tasks, from 0
            task space dataset
            metric VARCHAR the accuracies that it ranks by
            images collection
            evolve_networks BIGINT networks kept for evolution
            test_networks BIGINT networks kept for the test
        """),
        (Source(_RECORD_OF_RUN, rows=records.run_tasks, head=True),),
    ),
    Table(
        "split",
        "A network that a run evolves on or tests on.",
        _columns("""
            run task role
            position BIGINT order within the role, from 0
            arch
        """),
        (Source(SPLIT),),
    ),
    Table(
        "generations",
        "A generation of a run.",
        _columns("""
            run generation seconds
        """),
        _of_itself(seconds="list_filter(r.seconds, lambda one: one.part = 'total')[1].seconds"),
    ),
    Table(
        "counters",
        "A count of a generation of a run.",
        _columns("""
            run generation
            counter VARCHAR of candidates: `proposed`, `rejected`, `known` (decided by their text), `probed`
                (run on the probe networks); of individuals, by how they were recognised: `new`, `text`,
                `normal_form`, `sympy`, `fingerprint`, `same_order`; of pairs of program and network: `scored`,
                `remembered`. Of a search over fronts: new `columns`, pairs of one and a network `computed` and
                `spared`, programs and formulas `scored`, and of these `same_order` and `shape_only`
            value BIGINT the count
        """),
        _of_itself(counter="unnest(r.counters).counter", value="unnest(r.counters).value"),
    ),
    Table(
        "timings",
        "The time that a part of making a generation took.",
        _columns("""
            run generation
            part VARCHAR `probe`, `recognise`, `score`, `rank`, `vary`, or `total`; of a search over fronts
                `columns`, `formulas` and `select`
            seconds
        """),
        _of_itself(part="unnest(r.seconds).part", seconds="unnest(r.seconds).seconds"),
    ),
    Table(
        "genotypes",
        "What an individual is bred as in a run of sequential programs. There are none for trees, which are bred "
        "as their expressions.",
        _columns("""
            run generation slot
            genotype VARCHAR the program as rows: address written, operation, two addresses read
            instructions BIGINT its rows
            reaching BIGINT how many of them reach the output
        """),
        _of_generation("genotypes", optional=True),
    ),
    Table(
        "draws",
        "A network drawn in a generation. Fitness in that generation is measured on these.",
        _columns("""
            run generation task
            position BIGINT order of the draw, from 0
            arch
        """),
        _of_generation("draws"),
    ),
    Table(
        "individuals",
        "A place in the population of a generation. A program that lives on is there once a generation.",
        _columns("""
            run generation slot program text
            origin VARCHAR `random`, `crossover`, `mutation`, `reproduction`, `seed`, or, of a program that is made
                of known columns, `readout` or `formula`
            recognised_by VARCHAR the stage that found it equal to a program seen before: `text`, `normal_form`,
                `sympy`, `fingerprint`, or `same_order` for one that is not equal but ranks alike; `new` when none
                did
            same_as VARCHAR id of the program whose scores it takes; its own when it is new
            fitness DOUBLE least tau over the drawn tasks, -1..1; -Infinity where a score is not finite
        """),
        _of_generation("individuals"),
    ),
    Table(
        "evaluated",
        "A program that a search over fronts scored on all networks that selection sees, once a run.",
        _columns("""
            run generation
            position BIGINT order within the generation, from 0
            program text size height
            origin VARCHAR as in `individuals`
            least DOUBLE least tau over the tasks, -1..1
            mean DOUBLE mean tau over the tasks, -1..1
            taus DOUBLE[] tau by task, in the order of `tasks`
            cost BIGINT passes that a score takes: 1 for a forward pass, 2 for a backward one, 3 for a known proxy
            shape_only BOOLEAN whether it looks at sizes alone
            ranking VARCHAR a text that programs share which rank all these networks alike
        """),
        _of_generation("evaluated", optional=True),
    ),
    Table(
        "run_columns",
        "A number of an instance that a search over fronts asked for, in the generation that did it first.",
        _columns("""
            run generation
            position BIGINT order within the generation, from 0
            text VARCHAR its normal form
            state VARCHAR `known` on all networks, `raced` away on the first ones, or `refused`: not finite, or not
                applicable, on one
        """),
        _of_generation("columns", optional=True),
    ),
    Table(
        "taus",
        "The rank correlation of an individual on one task, on the networks drawn in its generation.",
        _columns("""
            run generation slot task
            tau DOUBLE Kendall's tau-b of score and accuracy, -1..1; 0 where all scores are equal
        """),
        _of_generation("taus"),
    ),
    Table(
        "programs",
        "A distinct program of a run, in the generation that saw it first; also one that was only tested (`zcsr "
        "test RUN --program`), where what evolution would know is NULL.",
        _columns("""
            run generation program text size height
            normal_form VARCHAR a text that is the same for programs that are the same by simple rules
            sympy VARCHAR the same by algebra; NULL where the tree is too large
            fingerprint VARCHAR the same by value, on fixed inputs; NULL where it does not run on them
            probe_values DOUBLE[] its values, an instance each, on the probe networks
        """),
        _of_generation("programs"),
        view=_PROGRAMS,
    ),
    Table(
        "tested",
        "A program that a run tested, as often as files of test scores name it.",
        _columns("""
            run program text size height
        """),
        (Source(TESTS),),
        hidden=True,
    ),
    Table(
        "finalists",
        "A program that a run chose for the test (EZNAS, section 3.7), as it was decided after the last "
        "generation, or would be after those that there are.",
        _columns("""
            run program text
            role VARCHAR `last`, the fittest of the last generation, or `seen`, one of the two fittest others of
                any; of a search over fronts `chosen`, the best on the held-out networks less a price of its size,
                `highest`, the best there, or `simplest`, the best of one column
            fitness DOUBLE the fitness for which it was chosen, -1..1
            generation BIGINT the generation in which it first had that fitness, from 0
            slot
        """),
        (Source(FINALISTS, optional=True),),
        view=_FINALISTS,
    ),
    Table(
        "rivals",
        "A program or known proxy that a run's finalists are compared with.",
        _columns("""
            run
            position BIGINT order, from 0
            name VARCHAR what it was called in the command
            program text
        """),
        (Source(_RECORD_OF_RUN, rows=records.rivals, head=True),),
    ),
    Table(
        "scores",
        "The score of a program on a network, computed by a run.",
        _columns("""
            run role
            generation BIGINT the generation that computed it; NULL for the test and for held-out networks
            program task arch score
        """),
        (
            Source(f"{GENERATION}scores.parquet", {"role": "'evolve'"}),
            Source(TESTS, {"role": "'test'", "generation": "NULL"}),
            Source(HELD_OUT, {"role": "'held_out'", "generation": "NULL"}),
        ),
    ),
    Table(
        "run_scores",
        "A score in `scores` beside the network's mean accuracy, of the metric that the run ranks the task by. "
        "Networks without an accuracy are left out.",
        _columns("""
            run role program
            position BIGINT the order of the tasks of the run, from 0
            task arch score accuracy
        """),
        view="FROM scores JOIN tasks USING (run, task) JOIN mean_accuracies USING (task, metric, arch)",
    ),
    Table(
        "run_correlations",
        "How the scores of a program in `run_scores` rank the networks of a task; scores that are not finite are "
        "left out.",
        _columns("""
            run role program task
            kendall DOUBLE Kendall's tau-b with the accuracies, -1..1
            spearman DOUBLE Spearman's rho with the accuracies, -1..1
            networks BIGINT how many have both
        """),
        view=_RUN_CORRELATIONS,
    ),
    Table(
        "rejections",
        "A program text that was refused in a generation.",
        _columns("""
            run generation
            text VARCHAR the program as text; its rows where it is a sequential one without an admissible
                expression
            origin VARCHAR of its first proposal: `random`, `crossover` or `mutation`
            reason VARCHAR `too_tall`, `shape`, `error` or `non_finite`; of a search over fronts also `constant`,
                `shape_only`, and `raced` for a column that lost the race
            detail VARCHAR what went wrong, and where
            count BIGINT how often it was proposed; 0 for a member of the population that turned out not finite
                on a drawn network
        """),
        _of_generation("rejections"),
    ),
    Table(
        "collections",
        "A way of computing statistics or scores (`zcsr collect`, `zcsr evolve`, `zcsr test --task`): all that "
        "they depend on, besides the network.",
        _columns("""
            collection space dataset images StatisticsConfig
        """),
        tuple(
            Source(f"{folder}/{{collection}}/collection.json", rows=records.collection, head=needed)
            for folder, needed in (("statistics", True), ("scores", False))
        ),
        view="SELECT DISTINCT ON (collection) * FROM stored.collections",
    ),
    Table(
        "summaries",
        "A tensor of an instance of a network, in numbers. From `mean` to `fraction_zero` all are over its finite "
        "elements, and NULL where there are none. This view reads the Parquet files themselves.",
        _columns("""
            collection space dataset arch
            layer INTEGER place of the instance, from 0, in the order in which the network runs
            module VARCHAR path of the module that holds the convolution's weight
            tensor VARCHAR one of the 22 tensors, as programs see it: P is the difference P - D
            shape VARCHAR such as `1x16x8x8`
            numel BIGINT elements
            mean DOUBLE mean
            std DOUBLE standard deviation of the population
            min DOUBLE least
            max DOUBLE greatest
            l1 DOUBLE sum of absolute values
            l2 DOUBLE root of the sum of squares
            fraction_positive DOUBLE 0..1
            fraction_zero DOUBLE 0..1
            non_finite BIGINT elements that are NaN or infinite
        """),
        (Source(SUMMARIES),),
        in_place=True,
    ),
    Table(
        "network_scores",
        "The score of a program or known proxy on a network, apart from any run (`zcsr test --task`).",
        _columns("""
            task collection space dataset what_scored arch score_or_none
        """),
        (Source(NETWORK_SCORES, _TASK_OF_FILE),),
        view="SELECT DISTINCT ON (collection, program, arch) * FROM stored.network_scores",
    ),
    Table(
        "scored_collections",
        "A collection that `network_scores` has scores of, and how these came about.",
        _columns("""
            collection task how_scored
        """),
        view=_SCORED_COLLECTIONS,
    ),
    Table(
        "scored_networks",
        "A score in `network_scores` beside the network's mean accuracy, once for each metric. Networks without "
        "an accuracy are left out.",
        _columns("""
            collection task what_scored
            name VARCHAR the program's name where it has one, else its text
            how_scored arch score_or_none metric accuracy
        """),
        view=_SCORED_NETWORKS,
    ),
    Table(
        "proxy_scores",
        "A score of a known proxy on a network that others computed (`zcsr import scores`, `zcsr import "
        "benchmark`).",
        _columns("""
            task
            source VARCHAR who computed it
            space dataset
            proxy VARCHAR the proxy, by the name it has there
            arch
            score DOUBLE as it is there
        """),
        (Source(PROXY_SCORES, _TASK_OF_FILE),),
    ),
    Table(
        "searches",
        "A search of `zcsr search`, with its parameters.",
        _columns("""
            search started task space dataset
            metric VARCHAR the accuracies that guide it
            architectures BIGINT how many it searches among
            target DOUBLE test accuracy to reach, percent
            SearchConfig zcsr command
        """),
        (Source(_RECORD_OF_SEARCH, rows=records.search, head=True),),
    ),
    Table(
        "search_scores",
        "A proxy that guides a search.",
        _columns("""
            search
            position BIGINT order, from 0
            proxy VARCHAR name or text
            kind VARCHAR `proxy`, `program` or `imported`
            source VARCHAR the collection it was scored in, or who computed it
            non_finite BIGINT scores that are not finite; these rank last
            kendall DOUBLE Kendall's tau-b with the test accuracies searched among, -1..1
        """),
        (Source(_RECORD_OF_SEARCH, rows=records.search_scores, head=True),),
    ),
    Table(
        "search_steps",
        "A network that a search trained, which is: looked up.",
        _columns("""
            search
            strategy VARCHAR `random`, `evolution`, `warmup`, `moves` or `warmup_moves`
            proxy VARCHAR what guides it; NULL for strategies without one
            repeat BIGINT from 0
            step BIGINT networks trained so far, from 1
            arch
            guiding_accuracy DOUBLE percent, of the search's metric
            test_accuracy DOUBLE percent
            best_test_accuracy DOUBLE percent, of the network with the highest guiding accuracy so far
        """),
        (Source(SEARCH_STEPS),),
    ),
    Table(
        "costs",
        "A session of a command that computes, with what was measured while it did: `zcsr evolve`, `collect`, "
        "`test`, `train` and `search`, and `explain` with a task. A killed session is there up to its last few "
        "seconds.",
        _columns("""
            session VARCHAR the session
            kind VARCHAR the command's name
            command VARCHAR the command, without the store's place
            run VARCHAR the run that it is a part of; NULL for none
            search VARCHAR the search that it is a part of; NULL for none
            program VARCHAR id of the program that `explain` looks at; NULL otherwise
            tasks VARCHAR[] what it works on, space and dataset of each
            collections VARCHAR[] ids of the collections that it works on
            started TIMESTAMP when it started to compute, UTC
            seconds DOUBLE by the clock
            cpu_seconds DOUBLE CPU time of all its processes, user and system
            workers BIGINT processes asked for
            peak_gb DOUBLE GB (of 10^9 bytes): the largest sum of what each process at work at one time held at
                its peak; NULL where unknown
            metered_kwh DOUBLE energy of the whole machine that a meter measured meanwhile; NULL without
                `--meter`
            zcsr VARCHAR version
        """),
        (Source("costs/{session}.json", rows=records.cost),),
    ),
    Table(
        "published",
        "A rank correlation that others report. It comes with zcsr.",
        _columns("""
            source VARCHAR the paper or work
            place VARCHAR where in it; NULL where that is not known
            proxy VARCHAR the program or proxy, by the name it has here
            space dataset
            statistic VARCHAR `kendall` or `spearman`
            value DOUBLE with the accuracy, -1..1
        """),
    ),
    Table(
        "named_programs",
        "A program with a name of its own. It comes with zcsr.",
        _columns("""
            name VARCHAR what commands take in place of the text
            program text
            reading VARCHAR by whom its tensors are taken so
            source VARCHAR where it is from
        """),
    ),
)

BY_NAME: Mapping[str, Table] = {table.name: table for table in TABLES}
STORED = tuple(table for table in TABLES if table.stored)
SEEN = tuple(table for table in TABLES if not table.hidden)

FEEDS: Mapping[str, Mapping[str, Source]] = {
    pattern: {table.name: source for table in TABLES for source in table.sources if source.pattern == pattern}
    for pattern in dict.fromkeys(source.pattern for table in TABLES for source in table.sources)
}
"""For each pattern of paths, the tables that its files feed, each with how."""

OF_GENERATIONS: Mapping[str, bool] = {
    pattern: any(source.optional for source in feeds.values())
    for pattern, feeds in FEEDS.items()
    if pattern.startswith(GENERATION)
}
"""The files of a generation, each with whether it is optional: all generations of a run have it, or none."""
