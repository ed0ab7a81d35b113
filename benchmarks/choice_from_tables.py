"""What an estimator's choice is worth, by tables of trained networks: the accuracy of the best of a draw.

A search whose every evaluation is of a network of the table, which alone has a true accuracy: networks are drawn at
random, and of those within a limit of macs the one with the best score is looked up. Beside it stand the mean and the
best of the draw. Scores are those of one `rwejax.correlate` over the whole table.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from parts.command import start
from parts.tables import TABLES, TableSetting, correlation, read, split, write

from rwejax.correlating.loop import correlate
from rwejax.correlating.output import scores_path
from rwejax.errors import InputError

QUANTILES = (0.25, 0.5, 1.0)
"""Shares of the table's networks that are within the limits of macs."""


@dataclass(frozen=True, kw_only=True)
class Config(TableSetting):
    """Look up what estimators choose from draws of a table."""

    tables: str = "nasbench201,nasbench_macro,darts_trained,nasbench301_surrogate,macro,micro"
    """Names of tables with commas between them."""
    estimators: str = "fit_path,rwf,rwe,nwot"
    """Names of estimators with commas between them."""
    share: float = 0.4
    """Networks of a draw, as a share of the table's: a search's evaluations."""
    draws: int = 100
    """Draws."""
    parts: Path = Path("runs/choice_from_tables")
    """Folder of the scores, which are not computed again."""
    output: Path = Path("runs/choice_from_tables.csv")
    """CSV file for the results."""


def work(config: Config) -> None:
    """Score, choose, look up, print.

    Raises:
        InputError: something cannot be used.
    """
    rows = [row for name in split(config.tables) for row in choose(config, name, score(config, name))]
    write(config.output, rows)
    for row in rows:
        print(
            "{table}, within {limit_macs_millions} M macs, by {chosen_by}: {accuracy} % ({lowest} - {highest})".format(
                **row
            )
        )


def score(config: Config, name: str) -> dict[str, np.ndarray]:
    """Accuracy, macs and the estimators' scores of all networks of the table."""
    output = config.parts / f"{name}.csv"
    if not output.exists():
        config.parts.mkdir(parents=True, exist_ok=True)
        whole = {"estimators": f"{config.estimators},macs", "sample": 1_000_000, "output": output}
        correlate(correlation(name, config.truth, config, **whole))
    rows = read(scores_path(output))
    names = [TABLES[name].column, "macs", *config.estimators.split(",")]
    if missing := [each for each in names if each not in rows[0]]:
        raise InputError(f"{scores_path(output)} has no scores of {missing[0]!r}: name another folder for --parts")
    return {each: np.array([float(row[each] or "-inf") for row in rows]) for each in names}


def choose(config: Config, table: str, scores: dict[str, np.ndarray]) -> list[dict[str, str]]:
    """A row for each limit and each way to choose: the accuracy, mean and spread over the draws."""
    accuracy, macs = scores[TABLES[table].column], scores["macs"]
    generator = np.random.default_rng(0)
    size = round(config.share * len(macs))
    draws = [generator.permutation(len(macs))[:size] for _ in range(config.draws)]
    rows = []
    for limit in np.quantile(macs, QUANTILES):
        within = [draw[macs[draw] <= limit] for draw in draws]
        found = {"random": [accuracy[draw].mean() for draw in within]}
        for name in config.estimators.split(","):
            found[name] = [accuracy[draw[scores[name][draw].argmax()]] for draw in within]
        found["best"] = [accuracy[draw].max() for draw in within]
        rows += [
            {
                "table": table,
                "networks": str(size),
                "limit_macs_millions": f"{limit / 1e6:.4g}",
                "chosen_by": name,
                "accuracy": f"{np.mean(values):.2f}",
                "lowest": f"{np.min(values):.2f}",
                "highest": f"{np.max(values):.2f}",
            }
            for name, values in found.items()
        ]
    return rows


if __name__ == "__main__":
    sys.exit(start(Config, work))
