"""A user's program passes the type checkers as they are out of the box, and what is wrong in it is found."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rwejax

PROGRAM = '''
import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import rwejax
from rwejax import NSGA2, RandomWeightEvaluator, RandomWeightProblem, SearchConfig
from rwejax import build, data, evaluate, evolve, spaces


def evaluating(key: jax.Array) -> np.ndarray:
    dataset = data.load("digits", train=40, validation=20, image_size=8)
    space = spaces.get("macro", nodes=3, input_shape=dataset.image_shape, classes=dataset.classes)
    genomes = space.sample(key, 4)
    evaluator = RandomWeightEvaluator(space, dataset, seeds=2, devices=jax.devices())
    scores = evaluator(key, genomes)
    evaluator(key, np.asarray(genomes))
    best: int = int(scores.error.argmin())
    text: str = space.to_string(genomes[best])
    for genome in (genomes[best], np.asarray(genomes)[best], space.from_string(text)):
        module = build(space, genome, classes=3)
        variables = module.init(key, dataset.train_images)
        module.apply(variables, dataset.train_images)
    for row in genomes:
        build(space, row)
    nwot = evaluate.estimators.get("nwot", space, dataset, seeds=1)
    values: np.ndarray = nwot(key, genomes) + nwot(key, np.asarray(genomes))
    costs: np.ndarray = space.macs(genomes) / 1e6 + space.params(space.canonical(genomes))
    names: tuple[str, ...] = spaces.names() + evaluate.estimators.names()
    print(names, spaces.Macro(nodes=3).lower, dataset.test(), scores.failed.sum())
    return np.stack([scores.objective, values, costs, evaluator.features(key, genomes).mean((1, 2))], axis=1)


class Bits:
    """A space of one's own."""

    lower, upper = np.zeros(8, np.int32), np.ones(8, np.int32)

    def sample(self, key: jax.Array, n: int) -> jax.Array:
        return jax.random.randint(key, (n, 8), 0, 2)

    def canonical(self, genomes: jax.Array) -> jax.Array:
        return genomes


def count(genomes: jax.Array) -> jax.Array:
    return jnp.stack([genomes[:, :4].sum(1), -genomes[:, 4:].sum(1)], axis=1).astype(jnp.float32)


def evolving(key: jax.Array, space: evolve.GenomeSpace) -> float:
    algorithm = NSGA2(10, space, archive_size=100)
    population = algorithm.initial_population(key)
    params = algorithm.default_params
    state = algorithm.init(key, population, count(population), params)
    for _ in range(3):
        children, state = algorithm.ask(key, state, params)
        state, metrics = algorithm.tell(key, children, np.asarray(count(children)), state, params)
        print(metrics["ideal"].tolist(), state.rank.max())
    best: jax.Array = algorithm.get_best_solution(state)
    rank = evolve.non_dominated_rank(state.fitness)
    crowding = evolve.crowding_distance(np.asarray(state.fitness), np.asarray(rank))
    kept: jax.Array = evolve.select_survivors(rank, crowding, 5)
    parents = population[evolve.tournament(key, rank, crowding, 10)]
    evolve.mutate(key, evolve.two_point_crossover(key, parents, parents, 0.9), space.lower, space.upper, 0.1)
    evolve.sample_distinct(key, space, 3, archive=space.canonical(population))
    print(best.shape, kept.tolist())
    return float(evolve.hypervolume(state.fitness[kept], np.ones(2)))


def solving(key: jax.Array, evaluator: RandomWeightEvaluator) -> rwejax.evaluate.Scores:
    problem = RandomWeightProblem(evaluator, objective="error")
    state = problem.init(key)
    fitness, state, metrics = problem.eval(key, problem.sample(key)[None], state)
    print(fitness.min(), state.counter, problem.genomes(np.zeros((1, 12))))
    return metrics["scores"]


class Watch(rwejax.SearchObserver):
    def on_generation(self, progress: rwejax.Progress) -> None:
        print(progress.generation, progress.seconds_left)


watch: rwejax.SearchObserver = Watch()


def searching(folder: Path) -> rwejax.TrainResult:
    rwejax.use_all_cores()
    config = SearchConfig(space="macro", generations=2, run_dir=folder / "run")
    result: rwejax.SearchResult = rwejax.search(dataclasses.replace(config, seed=1))
    result = rwejax.resume(folder / "run")
    row: int = rwejax.pick(result, "macs:300M")
    module = rwejax.build(spaces.get(config.space), result.genomes[row])
    print(module, result.objectives[result.front], result.evaluations[row].architecture)
    training = rwejax.TrainConfig(architecture=result.evaluations[row].architecture)
    trained = rwejax.train(training)
    print(trained.epochs, trained.space.classes, trained.space.to_string(trained.genome))
    network, shape = rwejax.build(trained.space, trained.genome), trained.space.input_shape
    card = rwejax.Card(
        space="macro", architecture="0", sizes={}, classes=10, macs=1, params=1, objectives={}, dataset="digits",
        mean=(0.0,), std=(1.0,), metrics={}, provenance={},
    )
    rwejax.export(network, trained.variables, shape, card, folder / "exported")
    return trained


def measuring() -> None:
    correlated: rwejax.CorrelateResult = rwejax.correlate(
        rwejax.CorrelateConfig(space="macro", truth=Path("truth.csv"), column="accuracy")
    )
    runs: rwejax.CorrelateRunsResult = rwejax.correlate_runs(
        rwejax.CorrelateRunsConfig(run="run", truth=Path("truth.csv"), column="accuracy")
    )
    print(correlated, runs, rwejax.__version__.upper())


def main() -> None:
    try:
        evolving(jax.random.key(0), Bits())
        evolving(jax.random.key(0), spaces.get("macro"))
    except rwejax.InputError as error:
        print(str(error))
'''

MISTAKES = """
import jax
import numpy as np

import rwejax

space = rwejax.spaces.get("macro", nodes=3)
genomes = space.sample(jax.random.key(0), 4)
rwejax.build(genomes[0], space)  # mistake
rwejax.search(rwejax.TrainConfig())  # mistake
rwejax.SearchConfig(generations="many")  # mistake
rwejax.NSGA2("10", space)  # mistake
rwejax.evolve.hypervolume(np.ones((3, 2)))  # mistake
rwejax.evolve.non_dominated_rank("text")  # mistake
rwejax.pick(rwejax.search(rwejax.SearchConfig()), 3)  # mistake
rwejax.nonsense  # mistake
"""

# As an editable install does it: a path beside the packages.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    names = "\n".join(f"print(rwejax.{name})" for name in rwejax.__all__)
    (folder / "program.py").write_text(f"{PROGRAM}\n{names}\n")
    (folder / "mistakes.py").write_text(MISTAKES)
    return folder


@pytest.fixture(scope="module")
def mistaken():
    """The lines that are wrong, from 1."""
    lines = MISTAKES.splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# mistake")}


def check(folder, *command):
    files = ["program.py", "mistakes.py"]
    command = [sys.executable, "-m", *command, *files]
    return subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)


@pytest.mark.slow
def test_mypy(folder, mistaken):
    done = check(folder, "mypy", "--config-file=", "--no-error-summary", "--hide-error-context")
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [error for error in errors if not error.startswith("mistakes.py:")] == [], done.stderr
    assert {int(re.match(r"mistakes.py:(\d+):", error)[1]) for error in errors} == mistaken


@pytest.mark.slow
def test_pyright(folder, mistaken):
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    version = subprocess.run([sys.executable, "-m", "pyright", "--version"], env=ENVIRONMENT, capture_output=True)
    if version.returncode:
        pytest.skip("pyright does not start: it fetches its program from npm, once")
    done = check(folder, "pyright", "--outputjson", "--pythonpath", sys.executable)
    found = json.loads(done.stdout)["generalDiagnostics"]
    errors = [(Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["message"]) for each in found]
    assert [error for error in errors if error[0] != "mistakes.py"] == []
    assert {line for _, line, _ in errors} == mistaken
