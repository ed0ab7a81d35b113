"""Hypervolumes over evaluations, compared with moocore's; mean and std, with pandas' and numpy's."""

import dataclasses
import json

import moocore
import numpy as np
import pytest
from matplotlib.figure import Figure

import rwejax
from rwejax import InputError
from rwejax.comparing.comparison import _hypervolumes
from rwejax.searching.front import FINALIST, RANDOM, find_finalists
from rwejax.searching.records import Evaluation
from rwejax.searching.result import read_result
from rwejax.storage.yaml_config import write_config
from tests import fakes
from tests.reporting.runs import network

BITS = 12  # of a macro genome of 3 nodes


def write_run(folder, seed=0, generations=4, reference=(100.0, 10.0), **changes):
    """A run folder with random objectives, on the same grid for all, so that some are equal."""
    config = fakes.tiny(seed=seed, generations=generations, **changes).resolved()
    rng = np.random.default_rng([seed, *map(ord, config.algorithm)])
    scores = dict.fromkeys(config.recorded, 1.0)
    folder.mkdir()
    write_config(folder / "config.yaml", config)
    (folder / "meta.json").write_text(json.dumps({"hypervolume_reference": reference}))
    lines = []
    for index in range(config.evaluations):
        objectives = tuple((rng.integers(1, 12, len(reference)) * np.array(reference) / 10).tolist())
        text = "".join(map(str, rng.integers(0, 2, BITS)))
        evaluation = Evaluation(index, index // 6 + 1, text, objectives, scores, int(1e6 * objectives[-1]), 1, 0, 1.0)
        lines.append(evaluation.to_json() + "\n")
    (folder / "evaluations.jsonl").write_text("".join(lines))
    return folder


def train_front(run, errors, epochs=2):
    """A front of four, trained: the smallest has one of these errors in %; and random networks, from the other on."""
    lines = (run / "evaluations.jsonl").read_text().splitlines()
    for place in range(4):
        objectives = (0.4 - 0.1 * place, 0.01 * (1 + place))
        lines[place] = json.dumps(
            json.loads(lines[place]) | {"objectives": objectives, "macs": int(1e6 * objectives[1])}
        )
    (run / "evaluations.jsonl").write_text("".join(line + "\n" for line in lines))
    result = read_result(run)
    front = [result.evaluations[row] for row in find_finalists(result.objectives)]
    lines = [json.dumps({"setting": {"epochs": epochs}})]
    for role, error in zip((FINALIST, RANDOM), errors, strict=True):
        networks = (network(each, role, error + place / 10) for place, each in enumerate(front))
        lines += [dataclasses.replace(each, epochs=epochs).to_json() for each in networks]
    (run / "trainings.jsonl").write_text("".join(line + "\n" for line in lines))
    return front


def expected(result, reference):
    """Hypervolume of all evaluations until the end of each generation, by moocore."""
    found = []
    for end in range(6, len(result.objectives) + 1, 6):
        points = result.objectives[:end]
        inside = points[(points < reference).all(axis=1)]
        found.append(moocore.hypervolume(inside, ref=reference) if len(inside) else 0.0)
    return found


@pytest.mark.parametrize("m", [2, 3])
def test_the_curves_are_moocores_and_their_mean_and_std_pandas(tmp_path, m):
    costs, one, other = "macs,memory"[: 4 if m == 2 else 11], (100.0, 10.0, 4.0)[:m], (90.0, 12.0, 5.0)[:m]
    runs = [
        write_run(
            tmp_path / f"{algorithm}-{seed}", seed, 3 + seed, one if seed else other, algorithm=algorithm, costs=costs
        )
        for algorithm in ("nsga2", "random")
        for seed in range(3)
    ]
    comparison = rwejax.load_many([*runs, runs[0]])
    np.testing.assert_array_equal(comparison.reference, (100.0, 12.0, 5.0)[:m])
    assert [group.label for group in comparison.groups] == ["algorithm nsga2", "algorithm random"]
    for group, folders in zip(comparison.groups, (runs[:3], runs[3:]), strict=True):
        assert [result.run_dir for result in group.results] == folders
        assert group.evaluations.tolist() == [6, 12, 18, 24, 30]
        assert group.runs.tolist() == [3, 3, 3, 2, 1]
        for row, result in zip(group.hypervolumes, group.results, strict=True):
            curve = expected(result, comparison.reference)
            assert 0 < curve[-1] >= curve[0]
            np.testing.assert_allclose(row[: len(curve)], curve, rtol=1e-5)
            assert np.isnan(row[len(curve) :]).all()

    import pandas as pd

    frame = comparison.to_dataframe()
    assert list(frame) == ["group", "evaluations", "mean", "std", "runs"]
    long = pd.DataFrame(
        [
            (group.label, evaluations, value)
            for group in comparison.groups
            for result in group.results
            for evaluations, value in zip(group.evaluations, expected(result, comparison.reference), strict=False)
        ],
        columns=["group", "evaluations", "value"],
    )
    grouped = long.groupby(["group", "evaluations"], sort=False).value
    np.testing.assert_allclose(frame["mean"], grouped.mean(), rtol=1e-5)
    np.testing.assert_allclose(frame["std"], grouped.std(ddof=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(frame["runs"], grouped.count())


def test_one_call_measures_all_generations_of_all_runs(tmp_path):
    runs = [write_run(tmp_path / str(seed), seed, generations=7) for seed in range(3)]
    before = _hypervolumes._cache_size()
    assert len(rwejax.load_many(runs).groups) == 1
    assert _hypervolumes._cache_size() <= before + 1


def test_groups_are_named_by_what_differs(tmp_path):
    plain = write_run(tmp_path / "plain", genomes_per_program=8)
    more = write_run(tmp_path / "more", train_images=60, seeds=2)
    assert rwejax.load_many([plain]).groups[0].label == "algorithm nsga2"
    labels = [group.label for group in rwejax.load_many([plain, more]).groups]
    assert labels == ["train_images 40, seeds 1", "train_images 60, seeds 2"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": 4}, r"differ in nodes \(4 and 3\)"),
        ({"score": "log_evidence"}, r"differ in score \(log_evidence and loo_error\)"),
        ({"costs": "params"}, r"differ in costs \(params and macs\)"),
        ({"dataset": "mnist", "channels": 8}, r"differ in channels \(8 and 4\), dataset \(mnist and digits\)"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused_by_what_differs(tmp_path, changes, words):
    runs = [write_run(tmp_path / "one", generations=1), tmp_path / "other"]
    write = write_wider if "nodes" in changes else write_run
    write(runs[1], generations=1, **changes)
    with pytest.raises(InputError, match=words):
        rwejax.load_many(runs)


def write_wider(folder, **changes):
    write_run(folder, generations=1)
    write_config(folder / "config.yaml", fakes.tiny(**changes).resolved())
    lines = (json.loads(line) for line in (folder / "evaluations.jsonl").read_text().splitlines())
    texts = [json.dumps(line | {"architecture": "0" * 21}) + "\n" for line in lines]
    (folder / "evaluations.jsonl").write_text("".join(texts))


def test_runs_without_a_generation_or_a_reference_are_refused(tmp_path):
    run = write_run(tmp_path / "run")
    with pytest.raises(InputError, match="no runs are named"):
        rwejax.load_many([])
    (run / "meta.json").write_text("{}")
    with pytest.raises(InputError, match="has no hypervolume_reference"):
        rwejax.load_many([run])
    lines = (run / "evaluations.jsonl").read_text().splitlines(keepends=True)
    (run / "evaluations.jsonl").write_text("".join(lines[:5]))
    with pytest.raises(InputError, match="has no finished generation"):
        rwejax.load_many([run])


def test_the_figure_has_the_curves_and_the_fronts(tmp_path):
    runs = [
        write_run(tmp_path / f"{name}-{seed}", seed, algorithm=name) for name in ("nsga2", "random") for seed in (0, 1)
    ]
    comparison = rwejax.load_many(runs)
    given = Figure()
    assert comparison.plot(given.subplots(1, 2)) is given
    left, right = comparison.plot().axes
    for line, group in zip(left.lines, comparison.groups, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.stack([group.evaluations, group.mean], 1))
    results = [result for group in comparison.groups for result in group.results]
    assert len(right.lines) == 4
    for line, result in zip(right.lines, results, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), result.objectives[result.front][:, ::-1])
    assert left.get_ylabel() == "hypervolume (% x M)"
    assert [text.get_text() for text in right.get_legend().get_texts()] == ["algorithm nsga2", "algorithm random"]


def test_trained_fronts_are_drawn_once_all_are_trained_alike(tmp_path):
    runs = [write_run(tmp_path / str(seed), seed) for seed in (0, 1)]
    fronts = [train_front(runs[0], (20.0, 40.0)), []]
    assert rwejax.load_many(runs).plot().axes[1].get_ylabel() == "leave-one-out error (%), lower is better"
    fronts[1] = train_front(runs[1], (30.0, 40.0))
    comparison = rwejax.load_many(runs)
    right = comparison.plot().axes[1]
    assert right.get_ylabel() == "error when trained (%), lower is better"
    assert comparison.groups[0].best_errors.tolist() == [20.0, 30.0]
    for line, front, error in zip(right.lines, fronts, (20.0, 30.0), strict=True):
        # Errors rise with costs, so that the smallest network is the whole front.
        np.testing.assert_allclose(line.get_xydata(), [(front[0].macs / 1e6, error)])
    train_front(runs[1], (30.0, 40.0), epochs=3)
    assert rwejax.load_many(runs).plot().axes[1].get_ylabel() == "leave-one-out error (%), lower is better"
