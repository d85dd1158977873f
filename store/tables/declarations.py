"""The tables of the index: their columns, the files that feed them, and how a user sees them."""

from __future__ import annotations

from collections.abc import Mapping

COLUMNS: Mapping[str, str] = {
    "accuracies": (
        "space VARCHAR, dataset VARCHAR, metric VARCHAR, arch VARCHAR, seed BIGINT, accuracy DOUBLE, source VARCHAR"
    ),
    "collections": (
        "collection VARCHAR, space VARCHAR, dataset VARCHAR, images VARCHAR, batch_size BIGINT, seed BIGINT, "
        "pattern VARCHAR, loss VARCHAR, noise_variance DOUBLE, initialisation VARCHAR, dtype VARCHAR, "
        "separable VARCHAR"
    ),
    "runs": (
        "run VARCHAR, status VARCHAR, started TIMESTAMP, seconds DOUBLE, command VARCHAR, zcsr VARCHAR, "
        "torch VARCHAR, numpy VARCHAR, deap VARCHAR, python VARCHAR, seed BIGINT, population BIGINT, "
        "generations BIGINT, tournament BIGINT, mu BIGINT, lambda_ BIGINT, crossover DOUBLE, mutation DOUBLE, "
        "min_depth BIGINT, max_depth BIGINT, height_limit BIGINT, networks_per_task BIGINT, draw BIGINT, "
        "tasks_per_generation BIGINT, to_scalar VARCHAR, aggregation VARCHAR, fitness VARCHAR, "
        "probe_networks BIGINT, representation VARCHAR, min_length BIGINT, max_length BIGINT"
    ),
    "tasks": (
        "run VARCHAR, position BIGINT, task VARCHAR, space VARCHAR, dataset VARCHAR, metric VARCHAR, "
        "images VARCHAR, collection VARCHAR, evolve_networks BIGINT, test_networks BIGINT"
    ),
    "split": "run VARCHAR, task VARCHAR, role VARCHAR, position BIGINT, arch VARCHAR",
    "generations": "run VARCHAR, generation BIGINT, seconds DOUBLE",
    "counters": "run VARCHAR, generation BIGINT, counter VARCHAR, value BIGINT",
    "timings": "run VARCHAR, generation BIGINT, part VARCHAR, seconds DOUBLE",
    "individuals": (
        "run VARCHAR, generation BIGINT, slot BIGINT, program VARCHAR, text VARCHAR, origin VARCHAR, "
        "recognised_by VARCHAR, same_as VARCHAR, fitness DOUBLE"
    ),
    "taus": "run VARCHAR, generation BIGINT, slot BIGINT, task VARCHAR, tau DOUBLE",
    "genotypes": (
        "run VARCHAR, generation BIGINT, slot BIGINT, genotype VARCHAR, instructions BIGINT, reaching BIGINT"
    ),
    "draws": "run VARCHAR, generation BIGINT, task VARCHAR, position BIGINT, arch VARCHAR",
    "programs": (
        "run VARCHAR, generation BIGINT, program VARCHAR, text VARCHAR, size BIGINT, height BIGINT, "
        "normal_form VARCHAR, sympy VARCHAR, fingerprint VARCHAR, probe_values DOUBLE[]"
    ),
    "tested": "run VARCHAR, program VARCHAR, text VARCHAR, size BIGINT, height BIGINT",
    "rejections": (
        "run VARCHAR, generation BIGINT, text VARCHAR, origin VARCHAR, reason VARCHAR, detail VARCHAR, count BIGINT"
    ),
    "network_scores": (
        "collection VARCHAR, space VARCHAR, dataset VARCHAR, program VARCHAR, text VARCHAR, arch VARCHAR, "
        "score DOUBLE"
    ),
    "proxy_scores": ("source VARCHAR, space VARCHAR, dataset VARCHAR, proxy VARCHAR, arch VARCHAR, score DOUBLE"),
    "searches": (
        "search VARCHAR, started TIMESTAMP, task VARCHAR, space VARCHAR, dataset VARCHAR, metric VARCHAR, "
        "architectures BIGINT, target DOUBLE, seed BIGINT, budget BIGINT, repeats BIGINT, population BIGINT, "
        "tournament BIGINT, warmup BIGINT, moves BIGINT, zcsr VARCHAR, command VARCHAR"
    ),
    "search_scores": (
        "search VARCHAR, position BIGINT, proxy VARCHAR, kind VARCHAR, source VARCHAR, non_finite BIGINT, "
        "kendall DOUBLE"
    ),
    "search_steps": (
        "search VARCHAR, strategy VARCHAR, proxy VARCHAR, repeat BIGINT, step BIGINT, arch VARCHAR, "
        "guiding_accuracy DOUBLE, test_accuracy DOUBLE, best_test_accuracy DOUBLE"
    ),
    "costs": (
        "session VARCHAR, kind VARCHAR, command VARCHAR, run VARCHAR, search VARCHAR, program VARCHAR, "
        "tasks VARCHAR[], collections VARCHAR[], started TIMESTAMP, seconds DOUBLE, cpu_seconds DOUBLE, "
        "workers BIGINT, peak_gb DOUBLE, metered_kwh DOUBLE, zcsr VARCHAR"
    ),
    "scores": (
        "run VARCHAR, role VARCHAR, generation BIGINT, program VARCHAR, task VARCHAR, arch VARCHAR, score DOUBLE"
    ),
}
"""The tables kept in the index, each with its columns; there, a column `file` says which file a row is from."""

SUMMARY_COLUMNS: Mapping[str, str] = {
    "collection": "VARCHAR",
    "space": "VARCHAR",
    "dataset": "VARCHAR",
    "arch": "VARCHAR",
    "layer": "INTEGER",
    "module": "VARCHAR",
    "tensor": "VARCHAR",
    "shape": "VARCHAR",
    "numel": "BIGINT",
    "mean": "DOUBLE",
    "std": "DOUBLE",
    "min": "DOUBLE",
    "max": "DOUBLE",
    "l1": "DOUBLE",
    "l2": "DOUBLE",
    "fraction_positive": "DOUBLE",
    "fraction_zero": "DOUBLE",
    "non_finite": "BIGINT",
}
"""The columns of a summary shard, and so of `summaries`, with their SQL types."""

_PER_GENERATION = "l.run, l.generation"
LOADS: Mapping[str, Mapping[str, str]] = {
    "accuracies": {"accuracies": "space, dataset, metric, arch, seed, accuracy, source"},
    "network_scores": {"network_scores": "collection, space, dataset, program, text, arch, score"},
    "proxy_scores": {"proxy_scores": "source, space, dataset, proxy, arch, score"},
    "search_steps": {
        "search_steps": (
            "search, strategy, proxy, repeat, step, arch, guiding_accuracy, test_accuracy, best_test_accuracy"
        )
    },
    "split": {"split": "l.run, task, role, position, arch"},
    "generation": {
        "generations": (
            f"{_PER_GENERATION}, list_filter(r.seconds, lambda one: one.part = 'total')[1].seconds AS seconds"
        ),
        "counters": f"{_PER_GENERATION}, unnest(r.counters, recursive := true)",
        "timings": f"{_PER_GENERATION}, unnest(r.seconds, recursive := true)",
    },
    "individuals": {
        "individuals": f"{_PER_GENERATION}, slot, program, text, origin, recognised_by, same_as, fitness"
    },
    "taus": {"taus": f"{_PER_GENERATION}, slot, task, tau"},
    "genotypes": {"genotypes": f"{_PER_GENERATION}, slot, genotype, instructions, reaching"},
    "draws": {"draws": f"{_PER_GENERATION}, task, position, arch"},
    "programs": {
        "programs": (
            f"{_PER_GENERATION}, program, text, size, height, normal_form, sympy, fingerprint, probe_values"
        )
    },
    "rejections": {"rejections": f"{_PER_GENERATION}, text, origin, reason, detail, count"},
    "scores": {
        "scores": "l.run, 'evolve' AS role, l.generation, program, task, arch, score",
    },
    "tests": {
        "scores": "l.run, 'test' AS role, NULL AS generation, program, task, arch, score",
        "tested": "l.run, program, text, size, height",
    },
}
"""For each kind of Parquet file, the tables that it feeds and the columns read for them (r: the file's row)."""

GENERATION_KINDS = ("generation", "individuals", "taus", "draws", "programs", "rejections", "scores")
"""The files of every generation."""

OPTIONAL_KINDS = ("genotypes",)
"""The files that either all generations of a run have or none."""

VIEWS: Mapping[str, str] = {
    "accuracies": "SELECT space || ':' || dataset AS task, * EXCLUDE (file) FROM stored.accuracies",
    "collections": "SELECT DISTINCT ON (collection) * EXCLUDE (file) FROM stored.collections",
    "network_scores": (
        "SELECT DISTINCT ON (collection, program, arch) space || ':' || dataset AS task, * EXCLUDE (file) "
        "FROM stored.network_scores"
    ),
    "proxy_scores": "SELECT space || ':' || dataset AS task, * EXCLUDE (file) FROM stored.proxy_scores",
    "programs": (
        "SELECT * EXCLUDE (file) FROM stored.programs UNION ALL BY NAME "
        "SELECT DISTINCT ON (run, program) * EXCLUDE (file) FROM stored.tested AS t WHERE NOT EXISTS "
        "(FROM stored.programs AS p WHERE p.run = t.run AND p.program = t.program)"
    ),
}
"""What a user sees of a table where it is not just the table without its `file`."""

HIDDEN_TABLES = ("tested",)

_SCORED_COLLECTIONS = """
SELECT
    s.collection,
    s.space || ':' || s.dataset AS task,
    c.images,
    coalesce(c.batch_size, TRY_CAST(s.of_id.batch_size AS BIGINT)) AS batch_size,
    coalesce(c.seed, TRY_CAST(s.of_id.seed AS BIGINT)) AS seed,
    coalesce(c.pattern, nullif(s.of_id.pattern, '')) AS pattern,
    coalesce(c.loss, nullif(s.of_id.loss, '')) AS loss,
    c.initialisation,
    CASE
        WHEN c.collection IS NULL THEN s.collection
        ELSE concat_ws(' ', c.images, c.noise_variance, c.initialisation, c.dtype, c.separable)
    END AS conditions
FROM (
    SELECT DISTINCT
        collection,
        space,
        dataset,
        regexp_extract(
            collection,
            '-b(\\d+)-s(-?\\d+)-([a-z]+)-([a-z_]+)-[0-9a-f]+$',
            ['batch_size', 'seed', 'pattern', 'loss']
        ) AS of_id
    FROM stored.network_scores
) AS s
LEFT JOIN collections AS c USING (collection)
"""

_SCORED_NETWORKS = """
SELECT
    s.collection,
    s.task,
    s.program,
    s.text,
    coalesce(n.name, s.text) AS name,
    c.images,
    c.batch_size,
    c.seed,
    c.pattern,
    c.loss,
    c.initialisation,
    c.conditions,
    s.arch,
    s.score,
    a.metric,
    a.accuracy
FROM network_scores AS s
JOIN scored_collections AS c USING (collection, task)
JOIN mean_accuracies AS a USING (task, arch)
LEFT JOIN (SELECT program, min(name) AS name FROM named_programs GROUP BY program) AS n USING (program)
"""

DERIVED: Mapping[str, str] = {
    "mean_accuracies": (
        "SELECT task, metric, arch, avg(accuracy) AS accuracy FROM accuracies GROUP BY task, metric, arch"
    ),
    "scored_collections": _SCORED_COLLECTIONS,
    "scored_networks": _SCORED_NETWORKS,
}
"""Views on the tables that a user sees, in the order in which they are made.

mean_accuracies: the accuracy of a network, percent, the mean over its seeds and sources.
scored_collections: how the scores of a collection in `network_scores` came about. What no record says is read from
the collection's id, which tells neither the `images` nor the `initialisation`. `conditions` is equal for two that
differ in batch size, seed, pattern and loss at most; it is the collection's own where there is no record.
scored_networks: a score in `network_scores` with its collection's parameters and the network's mean accuracy, once
for each metric; networks without an accuracy are left out. `name` is the program's name where it has one and its
text otherwise; a known proxy's program, text and name are one and the same.
"""
