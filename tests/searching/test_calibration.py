"""A calibrated search: a few networks are trained in its first generations, and the errors of all others predicted."""

import csv
import re

import jax
import numpy as np
import pytest
from flax import serialization

import rwejax
from rwejax import InputError, SearchConfig, SearchObserver
from rwejax.console import make_console
from rwejax.evaluate import predictor, untrained
from rwejax.searching.console import ConsoleObserver
from rwejax.searching.front import FINALIST, LABEL, find_finalists
from rwejax.searching.task import Task
from rwejax.searching.trained import plan as training_plan
from rwejax.status import read_status
from rwejax.storage.checkpoints import Checkpoints
from tests import fakes
from tests.fakes import without_seconds

TINY = {**fakes.TRAINED, "generations": 5, "calibrate": 7}


class Watcher(SearchObserver):
    """Remembers what it is told; interrupts the search after so many labels."""

    def __init__(self, labels=None):
        self.plans, self.labels, self.trusts, self.limit = [], [], [], labels
        self.generations, self.compilations = 0, []

    def on_generation(self, progress):
        self.generations = progress.generation

    def on_compilation(self, event, duration_secs, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration":
            self.compilations.append((self.generations, len(self.labels)))

    def on_calibration(self, plan, labels, finished):
        self.plans.append((plan.epochs, labels, finished))

    def on_label(self, network, finished, labels):
        self.labels.append((network, finished, labels))
        if len(self.labels) == self.limit:
            raise KeyboardInterrupt

    def on_calibrated(self, trust):
        self.trusts.append(trust)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    watcher = Watcher()
    folder = tmp_path_factory.mktemp("whole") / "run"
    jax.monitoring.register_event_duration_secs_listener(watcher.on_compilation)
    result = rwejax.search(SearchConfig(**TINY, run_dir=folder), [watcher])
    jax.monitoring.unregister_event_duration_listener(watcher.on_compilation)
    return result, watcher


def test_labels_are_trained_in_the_first_generations(whole):
    result, watcher = whole
    labels = [each for each in result.trained if each.role == LABEL]
    assert [each.generation for each in labels] == [1, 1, 2, 2, 3, 3, 4]
    assert len({each.architecture for each in labels}) == 7
    first = {each.architecture: each.generation for each in reversed(result.evaluations)}
    assert all(first[each.architecture] <= each.generation for each in labels)
    assert watcher.plans == [(2, 7, 0), (2, 7, 2), (2, 7, 4), (2, 7, 6)]
    assert [finished for _, finished, _ in watcher.labels] == list(range(1, 8))
    assert {each.epochs for each in result.trained} == {2}


def test_nothing_is_compiled_after_the_first_generation_and_the_first_label(whole):
    """But for the plain CNN, which is of another space, and is trained at the end."""
    _, watcher = whole
    assert (0, 0) in watcher.compilations, "compilations are not counted"
    assert set(watcher.compilations) <= {(0, 0), (TINY["generations"], TINY["calibrate"])}


def test_predictions_are_those_of_the_predictor(whole):
    result, watcher = whole
    labels = {each.architecture: each.validation_error for each in result.trained if each.role == LABEL}
    space = rwejax.spaces.get("macro", nodes=3, channels=2)
    names = list(result.config.recorded)
    assert {"loo_error", "validation_error", "fit_path", "rwf", "nwot"} <= set(names)
    scores = {name: np.array([each.scores[name] for each in result.evaluations]) for name in names}
    scores |= {name: np.array([getattr(each, name) for each in result.evaluations]) for name in ("macs", "params")}
    table = untrained.tabulate(space, result.genomes, scores, scores["fit_path"])
    texts = [each.architecture for each in result.evaluations]
    rows = np.array([texts.index(text) for text in labels])
    expected = predictor.fit(table, rows, np.array([*labels.values()])).predict(table)
    np.testing.assert_allclose(result.forecast.error, expected.error)
    np.testing.assert_allclose(result.forecast.std, expected.std)
    np.testing.assert_allclose(result.minimised[:, 0], expected.error)
    np.testing.assert_array_equal(result.minimised[:, 1], result.objectives[:, 1])
    assert [trust.labels for trust in watcher.trusts] == [2, 4, 6, 7]


def test_the_end_trains_what_is_predicted_to_be_the_front(whole):
    result, _ = whole
    finalists = {each.architecture for each in result.trained if each.role == FINALIST}
    predicted = find_finalists(result.minimised)
    assert finalists == {result.evaluations[row].architecture for row in predicted}
    labels = {each.architecture: each for each in result.trained if each.role == LABEL}
    for each in result.trained:
        if each.role == FINALIST and each.architecture in labels:
            assert each.validation_error == labels[each.architecture].validation_error
            assert each.seconds == 0
    shown = {result.evaluations[row].architecture for row in result.outcome.finalists}
    assert shown == finalists | set(labels)
    assert np.isfinite(result.outcome.error[result.front]).all()
    rows = list(csv.DictReader((result.run_dir / "front.csv").read_text().splitlines()))
    assert [int(row["index"]) for row in rows] == [*result.front, *result.outcome.fallen]
    for row in rows:
        assert float(row["predicted_error"]) == result.forecast.error[int(row["index"])]
        assert float(row["trained_error"]) == result.outcome.error[int(row["index"])]
    frame = result.to_dataframe()
    assert frame["predicted_error"].notna().all()
    assert "labels" in read_status(result.run_dir).facts


def test_survivors_are_the_best_of_all_by_what_is_predicted_now(whole):
    result, _ = whole

    task = Task(result.config)
    template = task.first_state(result.genomes[:8], result.minimised[:8])
    _, arrays = Checkpoints(result.run_dir / "checkpoints").load(serialization.to_state_dict(template))
    ranks = np.asarray(rwejax.evolve.non_dominated_rank(result.minimised.astype(np.float32)))
    rows = [np.flatnonzero((result.genomes == genome).all(1))[0] for genome in arrays["population"]]
    assert len(set(rows)) == 8
    assert ranks[rows].max() <= np.sort(ranks)[7]


def test_an_interrupted_calibration_is_resumed_to_the_same_lines(whole, tmp_path):
    """In the middle of the second generation's labels; what was chosen follows from what was known before these."""
    result, _ = whole
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        rwejax.search(SearchConfig(**TINY, run_dir=run), [Watcher(labels=3)])
    assert len(without_seconds(run / "trainings.jsonl")) == 4
    rwejax.resume(run)
    for name in ("trainings.jsonl", "evaluations.jsonl"):
        assert without_seconds(run / name) == without_seconds(result.run_dir / name)
    assert (run / "front.csv").read_bytes() == (result.run_dir / "front.csv").read_bytes()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"calibrate": 3}, "calibrate is 3: give 4 or more"),
        ({"calibrate": 8, "training_minutes": 0}, "calibrate is 8 with training_minutes 0: it trains"),
        ({"calibrate": 8, "algorithm": "random"}, "calibrate is 8 with algorithm 'random'"),
        ({"calibrate": 8, "race_images": 50}, "calibrate is 8 with race_images 50"),
        ({"calibrate": 8, "estimator": "rwe,nwot"}, "calibrate is 8 with estimator 'rwe,nwot': one error"),
    ],
)
def test_what_cannot_be_calibrated_is_one_sentence(changes, said):
    with pytest.raises(InputError, match=f"^{re.escape(said)}"):
        SearchConfig(**changes).validate()


def test_too_few_minutes_leave_the_search_to_its_score(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_plan, "_seconds_of_epoch", lambda *_: 600.0)
    given = {**TINY, "training_epochs": None, "training_minutes": 3, "generations": 2}
    found = rwejax.search(SearchConfig(**given, run_dir=tmp_path / "run"), [ConsoleObserver(make_console())])
    assert (found.trained, found.forecast) == ((), None)
    said = capsys.readouterr().out
    assert said.count("too few minutes to train networks to predict by") == 1
    assert re.search(r"are not trained: that takes (\d+) minutes .*; give --training-minutes \1 or more", said)
    assert rwejax.resume(tmp_path / "run").trained == ()
