"""The end of a search: its front is trained, beside random networks of its sizes and a plain CNN."""

import csv
import dataclasses
import json
import math
import re

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting
from scipy import stats

import rwejax
from rwejax import InputError, SearchConfig, SearchObserver, networks, spaces
from rwejax.console import make_console
from rwejax.searching.console import ConsoleObserver
from rwejax.searching.front import FINALIST, MOST_FINALISTS, PLAIN, RANDOM, find_finalists, make_front
from rwejax.searching.trained import plan as training_plan
from rwejax.searching.trained.finalists import PLAIN_GENOME, Finalists, plain_space
from rwejax.searching.trained.verdict import judge
from rwejax.storage.trainings import TrainedNetwork
from tests import fakes
from tests.fakes import without_seconds

TINY = {**fakes.TRAINED, "generations": 3}


class Watcher(SearchObserver):
    """Remembers what it is told, and compilations; interrupts the training after so many networks."""

    def __init__(self, interrupted_after=None):
        self.plans, self.trained, self.compilations, self.limit = [], [], [], interrupted_after

    def on_finalists(self, plan, finished):
        self.plans.append((plan, finished))

    def on_trained(self, progress):
        self.trained.append(progress)
        if len(self.trained) == self.limit:
            raise KeyboardInterrupt

    def on_compilation(self, event, duration_secs, **kwargs):
        if event == "/jax/core/compile/backend_compile_duration":
            self.compilations.append(len(self.trained))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    watcher = Watcher()
    jax.monitoring.register_event_duration_secs_listener(watcher.on_compilation)
    folder = tmp_path_factory.mktemp("whole") / "run"
    result = rwejax.search(SearchConfig(**TINY, run_dir=folder), [watcher])
    jax.monitoring.unregister_event_duration_listener(watcher.on_compilation)
    return result, watcher


def test_the_front_is_of_trained_networks(whole):
    result, watcher = whole
    trained = {each.architecture: each for each in result.trained if each.role == FINALIST}
    finalists = find_finalists(result.objectives)
    assert {result.evaluations[row].architecture for row in finalists} == set(trained)
    np.testing.assert_array_equal(result.outcome.finalists, finalists)
    points = np.array([[trained[result.evaluations[row].architecture].validation_error, row] for row in finalists])
    points[:, 1] = result.objectives[finalists, 1]
    fronts = NonDominatedSorting().do(points, only_non_dominated_front=True)
    assert {tuple(point) for point in points[fronts]} == {tuple(result.outcome.points[row]) for row in result.front}
    assert result.outcome.error[result.pick("error")] == points[:, 0].min()

    [(plan, finished)] = watcher.plans
    assert (plan.epochs, plan.networks, finished) == (2, len(result.trained), 0)
    assert [progress.finished for progress in watcher.trained] == list(range(1, plan.networks + 1))
    assert watcher.trained[-1].seconds_left == 0
    assert rwejax.load(result.run_dir).trained == result.trained


def test_what_the_front_has_to_beat(whole):
    result, _ = whole
    space = spaces.get("macro", **result.config.sizes, input_shape=(8, 8, 1))
    by_role = {role: [each for each in result.trained if each.role == role] for role in (FINALIST, RANDOM, PLAIN)}
    sizes = np.array([each.macs for each in by_role[FINALIST]])
    random = [each.architecture for each in by_role[RANDOM]]
    assert 0 < len(set(random)) == len(random) <= len(sizes)
    assert not set(random) & {each.architecture for each in by_role[FINALIST]}
    for each in by_role[RANDOM]:
        assert each.macs == space.macs(space.from_string(each.architecture)[None])[0]
        assert np.abs(np.log(each.macs / sizes)).min() <= np.log(1.1)
    [plain] = by_role[PLAIN]
    sizes = [spaces.Macro(2, channels, (8, 8, 1)).params(PLAIN_GENOME)[0] for channels in range(1, 129)]
    assert plain.params in sizes
    assert {each.epochs for each in result.trained} == {2}


def test_files_say_what_was_trained(whole):
    result, _ = whole
    header, *networks_on_disk = without_seconds(result.run_dir / "trainings.jsonl")
    assert header["setting"]["epochs"] == 2
    meta = json.loads((result.run_dir / "meta.json").read_text())
    assert meta["finally_trained"] == len(networks_on_disk) == len(result.trained)
    rows = list(csv.DictReader((result.run_dir / "front.csv").read_text().splitlines()))
    assert [int(row["index"]) for row in rows] == [*result.front, *result.outcome.fallen]
    assert [row["on_front"] for row in rows] == ["1"] * len(result.front) + ["0"] * len(result.outcome.fallen)
    assert [float(row["trained_error"]) for row in rows] == [result.outcome.error[int(row["index"])] for row in rows]
    frame = result.to_dataframe()
    assert frame["on_front"].sum() == len(result.front)
    assert frame["trained_error"].count() == len(result.outcome.finalists)


def test_nothing_is_compiled_once_each_kind_is_trained(whole):
    _, watcher = whole
    kinds = [progress.network.role == PLAIN for progress in watcher.trained]
    first_plain = kinds.index(True)
    assert set(watcher.compilations) <= {0, first_plain}


def test_an_interrupted_training_is_resumed_to_the_same_lines(whole, tmp_path):
    result, _ = whole
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        rwejax.search(SearchConfig(**TINY, run_dir=run), [Watcher(interrupted_after=2)])
    assert len(without_seconds(run / "trainings.jsonl")) == 3
    with open(run / "trainings.jsonl", "ab") as file:
        file.write(b'{"architecture": "macro:3:10')  # as a kill tears it
    watcher = Watcher()
    found = rwejax.resume(run, [watcher])
    assert watcher.plans[0][1] == 2
    for name in ("trainings.jsonl", "evaluations.jsonl"):
        assert without_seconds(run / name) == without_seconds(result.run_dir / name)
    assert (run / "front.csv").read_bytes() == (result.run_dir / "front.csv").read_bytes()
    again = Watcher()
    assert rwejax.resume(run, [again]).trained == found.trained
    assert not again.plans


class NoNetworks:
    """Stands for what trains: a second an epoch for each million multiply-adds, two networks at once."""

    networks_at_once, train_images, validation_images = 2, 500, 100

    def __init__(self):
        self.space = spaces.get("macro", nodes=4, channels=8, input_shape=(16, 16, 1))

    def of(self):
        return self

    def finalists(self):
        genomes = np.asarray(self.space.canonical(np.asarray(self.space.sample(jax.random.key(0), 8))))
        return Finalists(np.arange(4), genomes[:4], genomes[4:], None, int(self.space.macs(genomes).sum()))


@pytest.mark.parametrize("labels", [0, 8])
def test_epochs_follow_from_the_minutes(monkeypatch, labels):
    trainer, finalists = NoNetworks(), NoNetworks().finalists()
    monkeypatch.setattr(
        training_plan, "_seconds_of_epoch", lambda _, chosen, channels=None: trainer.space.macs(chosen).mean() / 1e6
    )
    an_epoch = finalists.macs / 2e6 * (1 + labels / 8)
    # 15,000 images of 500 an epoch are 30 epochs, which is what is needed where there is time for none.
    for minutes, expected in ((an_epoch / 4, 0), (40.5 * an_epoch / 60, 40), (1000 * an_epoch, 100)):
        plan = training_plan._measured(trainer, finalists, labels, minutes)
        assert (plan.epochs, plan.networks) == (expected, 8 + labels)
        assert plan.minutes == pytest.approx((expected or 30) * an_epoch / 60, rel=0.02)


def test_what_is_hopeless_is_seen_before_anything_is_compiled(whole):
    slow, quick = (
        [
            dataclasses.replace(each, seconds=seconds if each.generation > 1 else 1e6)  # which compiles
            for each in whole[0].evaluations
        ]
        for seconds in (1.0, 0.01)
    )
    plan = training_plan._hopeless(NoNetworks(), 8, slow, minutes=2)
    assert (plan.epochs, plan.networks) == (0, 8)
    assert plan.minutes == pytest.approx(8 * 15_000 * 18 / 600 / 60)
    assert training_plan._hopeless(NoNetworks(), 8, quick, minutes=2) is None


def test_too_few_minutes_are_said_and_train_nothing(tmp_path, capsys, monkeypatch):
    run = tmp_path / "run"
    fakes.use(monkeypatch)
    monkeypatch.setattr(training_plan, "_seconds_of_epoch", lambda *_: 600.0)
    result = rwejax.search(fakes.tiny(run_dir=run, training_minutes=3), [ConsoleObserver(make_console())])
    said = r"are not trained: that takes (\d+) minutes .*; give --training-minutes \1 or more"
    assert re.search(said, capsys.readouterr().out)
    assert result.trained == ()
    assert not result.outcome.final
    before = (run / "trainings.jsonl").read_bytes()
    watcher = Watcher()
    rwejax.resume(run, [watcher])
    assert not watcher.plans
    assert (run / "trainings.jsonl").read_bytes() == before


ERRORS = st.integers(0, 8).map(lambda e: e * 12.5)


def network(role, macs, error, number=0):
    spread = math.sqrt(max(error * (100 - error), 1) / 10_000)
    return TrainedNetwork(f"{role}{number}", 5, error, spread, 1.0, 1.0, 50.0, macs, 10, 1.0, role)


@given(arrays.arrays(np.float64, st.tuples(st.integers(2, 12), st.just(2)), elements=st.integers(1, 20)), st.data())
def test_the_trained_front_is_what_no_other_finalist_dominates(objectives, data):
    texts = [f"network {row}" for row in range(len(objectives))]
    finalists = find_finalists(objectives)
    errors = data.draw(st.lists(ERRORS | st.just(math.nan), min_size=len(finalists), max_size=len(finalists)))
    trained = [
        dataclasses.replace(network(FINALIST, 1, 50.0), architecture=texts[row], validation_error=error)
        for row, error in zip(finalists, errors, strict=True)
    ]
    before = make_front(objectives, 1, texts, trained[:-1])
    np.testing.assert_array_equal(before.rows, finalists)
    np.testing.assert_array_equal(before.points, objectives)
    front = make_front(objectives, 1, texts, trained)
    if np.isnan(errors).all():
        np.testing.assert_array_equal(front.rows, finalists)
        return
    points = np.array([errors, objectives[finalists, 1]]).T
    points[np.isnan(points).any(1)] = 1e9
    best = NonDominatedSorting().do(points, only_non_dominated_front=True)
    assert {tuple(each) for each in points[best]} == {tuple(front.points[row]) for row in front.rows}
    assert sorted([*front.rows, *front.fallen]) == sorted(finalists)


def test_of_a_large_front_some_are_trained():
    objectives = np.array([[100.0 - n, n] for n in range(60)])
    finalists = find_finalists(objectives)
    assert len(set(finalists)) == MOST_FINALISTS
    assert {0, 59} <= set(finalists)
    assert max(np.diff(finalists)) <= 3
    assert find_finalists(objectives[:0]).tolist() == []


def test_the_plain_network_is_a_chain_of_about_the_wanted_size():
    space = spaces.get("micro", layers=5, channels=8, input_shape=(16, 16, 3))
    genomes = np.asarray(space.sample(jax.random.key(0), 5))
    plain = plain_space(space, genomes)
    assert 0.8 < plain.macs(PLAIN_GENOME)[0] / np.median(space.macs(genomes)) < 1.25
    rows = networks.build(plain, PLAIN_GENOME[0]).rows
    names = [row.name for row in rows]
    assert sum("node" in name for name in names) == 6
    assert all(len(row.sources) == 1 for row in rows)
    assert plain_space(spaces.get("nasbench201", input_shape=(4, 4, 3)), np.zeros((1, 6), np.int32)) is None


def test_the_verdict_is_on_pairs_of_one_size():
    rng = np.random.default_rng(0)
    macs = np.arange(1, 9) * 100_000
    random = rng.uniform(10, 20, 8)
    found = random - rng.uniform(1, 9, 8)
    trained = [network(FINALIST, int(m), e, n) for n, (m, e) in enumerate(zip(macs, found, strict=True))]
    trained += [network(RANDOM, int(m) + 7, e, n) for n, (m, e) in enumerate(zip(macs, random, strict=True))]
    trained += [network(PLAIN, 310_000, 60.0)]
    for order in (trained, trained[::-1]):
        verdict = judge(order)
        assert verdict.standard_error == pytest.approx(stats.sem(random - found))
        assert (verdict.beats_chance, verdict.pairs, verdict.better) == (True, 8, 8)
        assert verdict.plain[1].validation_error == found[:3].min()
        assert verdict.sentences[0].startswith("the search beats chance: ")
        assert "it beats a plain CNN: " in verdict.sentences[1]
    other = {FINALIST: RANDOM, RANDOM: FINALIST, PLAIN: PLAIN}
    swapped = [dataclasses.replace(each, role=other[each.role]) for each in trained]
    assert judge(swapped).beats_chance is False
    assert judge(swapped).sentences[0].startswith("chance beats the search: ")


def test_a_verdict_is_careful():
    trained = [network(FINALIST, 100, 10.0, 0), network(FINALIST, 200, 20.0, 1), network(RANDOM, 100, 20.0, 0)]
    assert judge([*trained, network(RANDOM, 200, 10.0, 1)]).beats_chance is None
    # Pairs that happen to differ alike are no certainty: each error is that of so many images.
    alike = judge([*trained, network(RANDOM, 200, 30.0, 1)])
    assert alike.standard_error > 0.3
    assert judge(trained).beats_chance is None
    assert judge(trained).pairs == 1
    assert judge(trained).plain is None
    diverged = dataclasses.replace(network(RANDOM, 200, 10.0, 1), validation_error=math.nan)
    assert judge([*trained, diverged]) == judge(trained)
    assert judge([]).sentences == ()


def test_epochs_cannot_be_none_of_a_number():
    with pytest.raises(InputError, match="training_epochs is 0: give 1 or more"):
        SearchConfig(training_epochs=0).validate()
    with pytest.raises(InputError, match="training_minutes is -1"):
        SearchConfig(training_minutes=-1).validate()
