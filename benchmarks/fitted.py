"""What a regression fitted on trained networks reaches with the same numbers: how much a formula gives away.

    python benchmarks/fitted.py --store STORE --trained 200

For each task of a store, the scores that programs and known proxies gave to the same networks are the features of a
random forest, fitted on the accuracies of so many of them; tau is on all others. It is a predictor, not a zero-cost
proxy: it needs networks that were trained, in the manner of GreenFactory (Cortes et al., 2025). Takes scikit-learn.

"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import RandomForestRegressor

from zcsr.ranking import kendall
from zcsr.store import Store, query

SCORES = """
SELECT task, arch, name, score, accuracy
FROM scored_networks
WHERE metric = 'test' AND isfinite(score)
QUALIFY 1 = row_number() OVER (PARTITION BY task, arch, name ORDER BY batch_size, collection)
"""


def features(frame: pl.DataFrame, least: int) -> tuple[pl.DataFrame, np.ndarray]:
    """Return ranks by measure, a row a network, and the accuracies; of measures that scored `least` networks."""
    many = frame.filter(pl.len().over("name") >= least)
    wide = many.pivot("name", index=["arch", "accuracy"], values="score").drop_nulls().sort("arch")
    return wide.drop("arch", "accuracy").select(pl.all().rank() / wide.height), wide["accuracy"].to_numpy()


def main() -> None:
    """Fit and print, a line a task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--trained", type=int, default=200)
    parser.add_argument("--draws", type=int, default=10)
    given = parser.parse_args()
    print("| task | measures | fitted on | tested on | tau: mean over draws | lowest | highest |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for (task,), frame in query(Store.open(given.store), SCORES).group_by("task", maintain_order=True):
        given_by, accuracies = features(frame, 2 * given.trained)
        if len(accuracies) < 2 * given.trained:
            continue
        inputs, taus = given_by.to_numpy(), []
        for seed in range(given.draws):
            order = np.random.default_rng(seed).permutation(len(accuracies))
            fitted, rest = order[: given.trained], order[given.trained :]
            forest = RandomForestRegressor(300, random_state=seed, n_jobs=1)
            forest.fit(inputs[fitted], accuracies[fitted])
            taus.append(kendall(forest.predict(inputs[rest]), accuracies[rest]))
        shown = (np.mean(taus), min(taus), max(taus))
        counts = (given_by.width, given.trained, len(accuracies) - given.trained)
        print(f"| {task} | {' | '.join(map(str, counts))} | {' | '.join(f'{tau:.3f}' for tau in shown)} |")


if __name__ == "__main__":
    main()
