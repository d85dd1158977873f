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
        "probe_networks BIGINT"
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

VIEWS: Mapping[str, str] = {
    "accuracies": "SELECT space || ':' || dataset AS task, * EXCLUDE (file) FROM stored.accuracies",
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
