import dataclasses
import importlib
import json
import shutil
import signal
import threading
from pathlib import Path

import jax
import moocore
import numpy as np
import pytest
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.evolve import NSGA2
from rwejax.evolve.random_search import RandomSearch
from rwejax.objectives import RWE_SCORES
from rwejax.runtime.signals import uninterrupted
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import find_front
from rwejax.searching.loop import resume, search
from rwejax.searching.observers import PARTS, SearchObserver
from rwejax.searching.result import SearchResult, pick
from rwejax.searching.task import _algorithm
from tests import fakes

COMPILATION = "/jax/core/compile/backend_compile_duration"


class Watcher(SearchObserver):
    """Notes what it is told, and how many compilations there were until then."""

    def __init__(self):
        self.starts, self.steps, self.compilations, self._count = [], [], [], 0
        self.ends, self.closed = [], 0

    def on_compilation(self, event, duration, **kwargs):
        self._count += event == COMPILATION

    def on_start(self, config, run_dir, generation):
        self.starts.append((config, run_dir, generation))

    def on_generation(self, progress):
        self.steps.append(progress)
        self.compilations.append(self._count)

    def on_end(self, result):
        self.ends.append(result)

    def close(self):
        self.closed += 1


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A tiny search with the real evaluator: its result, and what an observer was told."""
    watcher = Watcher()
    jax.monitoring.register_event_duration_secs_listener(watcher.on_compilation)
    config = SearchConfig(
        nodes=3,
        channels=2,
        train_images=60,
        validation_images=30,
        population_size=6,
        generations=4,
        seeds=2,
        estimator="rwe",
        calibration_images=32,
        genomes_per_program=4,
        training_minutes=0,
        run_dir=tmp_path_factory.mktemp("real"),
    )
    result = search(config, [watcher])
    jax.monitoring.unregister_event_duration_listener(watcher.on_compilation)
    return result, watcher


@pytest.fixture
def fake(monkeypatch):
    return fakes.use(monkeypatch)


def test_a_result_has_every_evaluation(real):
    result, _ = real
    space = spaces.get("macro", nodes=3, channels=2, input_shape=(16, 16, 1))
    assert result.genomes.shape == (24, 12)
    assert result.genomes.dtype == np.int32
    np.testing.assert_array_equal(result.genomes, space.canonical(result.genomes))
    np.testing.assert_array_equal(result.objectives[:, 1], space.macs(result.genomes) / 1e6)
    assert [row.architecture for row in result.evaluations] == [space.to_string(genome) for genome in result.genomes]
    assert [row.params for row in result.evaluations] == space.params(result.genomes).tolist()
    assert len(np.unique(result.genomes, axis=0)) == 24, "a network was evaluated twice"
    assert ((result.objectives[:, 0] > 0) & (result.objectives[:, 0] < 100)).all()
    assert repr(result) == f"SearchResult(evaluations=24, front={len(result.front)}, run_dir={str(result.run_dir)!r})"


def test_nothing_is_compiled_after_the_first_generation(real):
    _, watcher = real
    assert watcher.compilations[0] > 0, "compilations are not counted"
    assert watcher.compilations == watcher.compilations[:1] * 4


def test_a_second_search_of_the_same_sizes_compiles_nothing(fake, tmp_path):
    jax.clear_caches()  # of other tests
    watchers = [Watcher() for _ in range(2)]
    for number, watcher in enumerate(watchers):
        jax.monitoring.register_event_duration_secs_listener(watcher.on_compilation)
        search(fakes.tiny(seed=number, run_dir=tmp_path / str(number)), [watcher])
        jax.monitoring.unregister_event_duration_listener(watcher.on_compilation)
    assert [watcher.compilations[-1] > 0 for watcher in watchers] == [True, False]


@dataclasses.dataclass(frozen=True)
class Listed(spaces.Macro):
    """A space that has no hash, as one of a user may have none."""

    names: list = dataclasses.field(default_factory=list)


def test_a_space_without_a_hash_has_an_algorithm_too():
    space = Listed(3)
    with pytest.raises(TypeError, match="unhashable"):
        hash(space)
    assert _algorithm("nsga2", 4, space, 0).space is space


def test_an_observer_is_told_of_every_generation(real):
    result, watcher = real
    assert watcher.starts == [(result.config, result.run_dir, 0)]
    assert [step.generation for step in watcher.steps] == [1, 2, 3, 4]
    assert [step.evaluations for step in watcher.steps] == [6, 12, 18, 24]
    assert [step.best for step in watcher.steps] == [result.objectives[:n, 0].min() for n in (6, 12, 18, 24)]
    assert watcher.steps[-1].seconds_left == 0
    assert all(step.evaluations_per_second > 0 for step in watcher.steps)
    assert watcher.ends == [result]
    assert watcher.closed == 1


def test_the_parts_of_a_generation_add_up(real):
    _, watcher = real
    for step in watcher.steps:
        assert set(step.parts) == set(PARTS)
        assert sum(step.parts.values()) == pytest.approx(step.seconds)
        assert step.evaluations_per_second == pytest.approx(6 / step.seconds)
        assert all(step.parts[name] > 0 for name in PARTS)


def test_the_hypervolume_is_moocores(real):
    result, watcher = real
    space = spaces.get("macro", nodes=3, channels=2, input_shape=(16, 16, 1))
    every = np.array(list(np.ndindex(*[2] * 12)), np.int32)
    reference = [100.0, space.macs(every).max() / 1e6]
    for step in watcher.steps:
        expected = moocore.hypervolume(result.objectives[: step.evaluations], ref=reference)
        assert step.hypervolume == pytest.approx(expected, rel=1e-5)


def test_the_front_is_what_it_says(real):
    result, _ = real
    np.testing.assert_array_equal(result.front, find_front(result.objectives))
    assert len(result.front) >= 1


def test_a_resumed_run_has_the_same_result(real):
    result, _ = real
    watcher = Watcher()
    again = resume(result.run_dir, [watcher])
    assert isinstance(again, SearchResult)
    assert watcher.ends == [again]
    assert [start[2] for start in watcher.starts] == [4]
    assert (watcher.steps, watcher.closed) == ([], 1)
    np.testing.assert_array_equal(again.genomes, result.genomes)
    np.testing.assert_array_equal(again.objectives, result.objectives)
    assert again.evaluations == result.evaluations


def test_the_result_is_a_function_of_the_config(fake, tmp_path):
    first, again, other = (
        search(fakes.tiny(seed=seed, run_dir=tmp_path / name))
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    np.testing.assert_array_equal(first.genomes, again.genomes)
    np.testing.assert_array_equal(first.objectives, again.objectives)
    assert not np.array_equal(first.genomes, other.genomes)


def test_random_search_starts_alike_and_goes_its_own_way(fake, tmp_path):
    evolved = search(fakes.tiny(run_dir=tmp_path / "evolved"))
    random = search(fakes.tiny(run_dir=tmp_path / "random", algorithm="random"))
    np.testing.assert_array_equal(evolved.genomes[:6], random.genomes[:6])
    assert not np.array_equal(evolved.genomes, random.genomes)
    assert len(np.unique(random.genomes, axis=0)) == 24


def test_a_random_search_is_resumed_too(fake, tmp_path):
    whole = search(fakes.tiny(run_dir=tmp_path / "whole", algorithm="random"))
    fake.calls = 0
    fake.before_call = staticmethod(lambda calls: signal.raise_signal(signal.SIGINT) if calls == 3 else None)
    with pytest.raises(KeyboardInterrupt):
        search(fakes.tiny(run_dir=tmp_path / "cut", algorithm="random"))
    resumed = resume(tmp_path / "cut")
    np.testing.assert_array_equal(resumed.genomes, whole.genomes)


def test_a_race_is_resumed_too(fake, tmp_path):
    whole = search(fakes.tiny(run_dir=tmp_path / "whole", race_images=20))
    fake.calls = 0
    fake.before_call = staticmethod(lambda calls: signal.raise_signal(signal.SIGINT) if calls == 5 else None)
    with pytest.raises(KeyboardInterrupt):
        search(fakes.tiny(run_dir=tmp_path / "cut", race_images=20))
    resumed = resume(tmp_path / "cut")
    np.testing.assert_array_equal(resumed.genomes, whole.genomes)
    np.testing.assert_array_equal(resumed.objectives, whole.objectives)
    assert [each.scores for each in resumed.evaluations] == [each.scores for each in whole.evaluations]


def test_whoever_drops_out_of_a_race_is_not_in_the_front(fake, tmp_path):
    result = search(fakes.tiny(run_dir=tmp_path / "run", race_images=20, generations=8))
    seen = np.isfinite([each.scores["loo_error"] for each in result.evaluations])
    assert seen[:6].all()
    assert 0 < (~seen).sum() < len(seen)
    assert seen[result.front].all()
    for row in np.flatnonzero(~seen):
        earlier = seen & (np.arange(len(seen)) < row)
        assert (result.objectives[earlier] <= result.objectives[row]).all(axis=1).any()


def test_an_interruption_keeps_the_finished_generations(fake, tmp_path):
    watcher = Watcher()
    fake.before_call = staticmethod(lambda calls: signal.raise_signal(signal.SIGINT) if calls == 3 else None)
    with pytest.raises(KeyboardInterrupt):
        search(fakes.tiny(run_dir=tmp_path / "run"), [watcher])
    assert (watcher.ends, watcher.closed) == ([], 1)
    assert len((tmp_path / "run" / "evaluations.jsonl").read_text().splitlines()) == 12
    assert (tmp_path / "run" / "front.csv").exists()
    assert (tmp_path / "run" / "front.png").exists()
    fake.calls = 0
    resume(tmp_path / "run", [watcher])
    assert fake.calls == 2
    assert [start[2] for start in watcher.starts] == [0, 2]
    assert [step.generation for step in watcher.steps] == [1, 2, 3, 4]


def test_an_interruption_before_the_first_generation_draws_nothing(fake, tmp_path):
    fake.before_call = staticmethod(lambda calls: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        search(fakes.tiny(run_dir=tmp_path / "run"))
    assert not (tmp_path / "run" / "front.png").exists()
    assert (tmp_path / "run" / "config.yaml").exists()


@pytest.mark.parametrize("score", RWE_SCORES)
def test_failed_networks_get_the_worst_score_and_are_told_apart(fake, tmp_path, score):
    fake.failing = 2
    result = search(fakes.tiny(run_dir=tmp_path / "run", score=score))
    failed = np.array([row.failed for row in result.evaluations]) > 0
    assert failed.sum() == 8
    assert result.objectives[failed, 0].min() > result.objectives[~failed, 0].max()
    assert "Infinity" not in (tmp_path / "run" / "evaluations.jsonl").read_text()
    assert len(result.front) > 0
    assert np.isfinite(result.objectives[result.front]).all()
    best = result.evaluations[result.objectives[:, 0].argmin()]
    assert result.objectives[:, 0].min() == (-1 if score == "log_evidence" else 1) * best.scores[score]


def test_a_space_that_is_used_up_does_not_hang(fake, tmp_path):
    result = search(fakes.tiny(run_dir=tmp_path / "run", nodes=2, population_size=40, generations=2))
    distinct = np.unique(result.genomes, axis=0)
    assert len(result.genomes) == 80
    assert len(distinct) < 80
    assert len(np.unique(result.genomes[result.front], axis=0)) == len(result.front)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": "makro"}, "space 'makro' is unknown"),
        ({"nodes": 9}, "nodes is 9"),
        ({"generations": 0}, "generations is 0"),
        ({"train_images": 5000}, "ask for fewer"),
        ({"image_size": 4}, "at least 6 x 6"),
    ],
)
def test_what_cannot_be_searched_leaves_no_folder(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        search(dataclasses.replace(fakes.tiny(run_dir=tmp_path / "run"), **changes))
    assert not (tmp_path / "run").exists()


def test_random_search_remembers_what_it_was_told():
    space = spaces.get("macro", nodes=2, channels=2)
    algorithm = RandomSearch(4, space, 12)
    key = jax.random.key(0)
    population = algorithm.initial_population(key)
    np.testing.assert_array_equal(population, NSGA2(4, space).initial_population(key))
    fitness = np.zeros((4, 2), np.float32)
    state = algorithm.init(key, population, fitness, None)
    told = [np.asarray(space.canonical(population))]
    for step in range(2):
        asked, state = algorithm.ask(jax.random.key(step), state, None)
        state, _ = algorithm.tell(key, asked, fitness, state, None)
        told.append(np.asarray(space.canonical(asked)))
    np.testing.assert_array_equal(state.archive, np.concatenate(told))
    assert int(state.archive_count) == 12
    assert len(np.unique(np.concatenate(told), axis=0)) == 12


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_until_a_record_is_whole(number):
    heard, before = [], signal.signal(number, lambda number, _: heard.append(number))
    try:
        with uninterrupted():
            signal.raise_signal(number)
            signal.raise_signal(number)
            assert heard == []
        assert heard == [number]
        signal.raise_signal(number)
        assert heard == [number, number]
    finally:
        signal.signal(number, before)


def test_other_threads_may_record_too():
    done = []

    def record():
        with uninterrupted():
            done.append(threading.current_thread().name)

    thread = threading.Thread(target=record, name="other")
    thread.start()
    thread.join()
    assert done == ["other"]


def test_the_package_offers_the_function_and_not_the_module():
    package = importlib.import_module("rwejax")
    importlib.import_module("rwejax.searching.loop")
    assert package.search is search


def unfinished(folder):
    """A copy of a run of four generations, as it was after three."""
    copy = Path(shutil.copytree(folder / "run", folder / "copy"))
    shutil.rmtree(copy / "checkpoints" / "4")
    lines = (copy / "evaluations.jsonl").read_text().splitlines(keepends=True)
    (copy / "evaluations.jsonl").write_text("".join(lines[:18]))
    return copy


def test_three_objectives_are_searched_picked_drawn_and_resumed(fake, tmp_path):
    config = fakes.tiny(run_dir=tmp_path / "run", costs="macs,params")
    result = search(config)
    macs, params = (np.array([getattr(row, name) for row in result.evaluations]) for name in ("macs", "params"))
    np.testing.assert_allclose(result.objectives[:, 1:], np.stack([macs / 1e6, params / 1e3], 1))
    front = NonDominatedSorting().do(result.objectives, only_non_dominated_front=True)
    assert set(map(tuple, result.objectives[result.front])) == set(map(tuple, result.objectives[front]))
    meta = json.loads((tmp_path / "run" / "meta.json").read_text())
    assert len(meta["hypervolume_reference"]) == 3
    limit = int(np.median(params[result.front]))
    assert params[pick(result, f"params:{limit}")] <= limit
    copy = unfinished(tmp_path)
    again = resume(copy)
    np.testing.assert_array_equal(again.objectives, result.objectives)
    assert (copy / "front.csv").read_bytes() == (tmp_path / "run" / "front.csv").read_bytes()


def test_latency_is_measured_once_a_run_and_kept(fake, tmp_path, monkeypatch):
    times = iter(range(1, 1000))

    class FakeStopwatch:
        def __init__(self, *_):
            self.seconds = next(times) / 1e3

        def run(self):
            pass

    monkeypatch.setattr("rwejax.evaluate.costs.timing.Stopwatch", FakeStopwatch)
    monkeypatch.setattr("rwejax.evaluate.costs.timing.call_seconds", lambda functions, _: [1.0] * len(functions))
    config = fakes.tiny(run_dir=tmp_path / "run", costs="macs,latency", nodes=2)
    result = search(config)
    table = json.loads((tmp_path / "run" / "latency.json").read_text())
    assert table["batch"] == 1
    most = table["slowdown"] * sum(table["milliseconds"].values())
    assert all(0 < row.scores["latency"] <= most for row in result.evaluations)
    np.testing.assert_allclose(result.objectives[:, 2], [row.scores["latency"] for row in result.evaluations])
    copy = unfinished(tmp_path)
    np.testing.assert_array_equal(resume(copy).objectives, result.objectives)
    shutil.rmtree(copy)
    unfinished(tmp_path)
    (copy / "latency.json").write_text("{")
    with pytest.raises(InputError, match=r"latency.json' is broken \(.*\): restore it, or start a new run$"):
        resume(copy)
