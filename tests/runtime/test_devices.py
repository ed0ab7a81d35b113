"""How JAX is set up, each time in a process of its own."""

import os
import subprocess
import sys

import pytest

from rwejax.runtime import devices

PRINT_FOLDER = """
import jax
from rwejax.runtime.devices import keep_compilations
keep_compilations()
print(jax.config.jax_compilation_cache_dir)
"""


def run(code, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_compilations_are_kept_in_the_users_cache(tmp_path):
    expected = tmp_path / "rwejax" / "compilations"
    assert run(PRINT_FOLDER, XDG_CACHE_HOME=str(tmp_path)) == str(expected)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"JAX_COMPILATION_CACHE_DIR": "/elsewhere"}, "/elsewhere"),
        ({"XDG_CACHE_HOME": "here", "HOME": "nowhere"}, "None"),
    ],
)
def test_a_folder_that_was_chosen_stays_and_no_home_means_none(environment, folder):
    assert run(PRINT_FOLDER, **environment) == folder


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("", "--xla_cpu_prefer_vector_width=512 --xla_backend_extra_options=xla_cpu_disable_loop_unrolling"),
        (
            "--xla_cpu_prefer_vector_width=256 --xla_cpu_enable_fast_math=false",
            "--xla_cpu_prefer_vector_width=256 --xla_cpu_enable_fast_math=false "
            "--xla_backend_extra_options=xla_cpu_disable_loop_unrolling",
        ),
    ],
)
def test_vectors_are_long_unless_the_user_has_chosen_and_jax_starts(chosen, expected):
    code = (
        "import os, rwejax, jax; rwejax.use_all_cores(); print(os.environ['XLA_FLAGS'], int(jax.numpy.ones(2).sum()))"
    )
    assert run(code, XLA_FLAGS=chosen) == f"{expected} 2"


def test_an_import_changes_nothing():
    code = """
import os, sys
before = dict(os.environ)
import rwejax
assert "jax" not in sys.modules
import jax
settings = dict(jax.config.values)
assert rwejax.RandomWeightEvaluator and rwejax.search and rwejax.NSGA2 and rwejax.train and rwejax.export
print(dict(os.environ) == before, dict(jax.config.values) == settings, jax.device_count())
"""
    assert run(code, XLA_FLAGS="") == "True True 1"


def test_all_cores_are_used_when_that_is_asked_for():
    code = "import rwejax, jax; rwejax.use_all_cores(); print(jax.device_count() == rwejax.runtime.devices.cores())"
    assert run(code, XLA_FLAGS="") == "True"


@pytest.mark.slow
def test_another_process_compiles_nothing_anew(tmp_path):
    code = """
import jax
from rwejax import RandomWeightEvaluator, data, spaces
from rwejax.runtime import devices

events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
devices.keep_compilations()
dataset = data.load("digits", train=40, validation=20, image_size=8)
space = spaces.get("macro", nodes=2, channels=2, input_shape=dataset.image_shape)
RandomWeightEvaluator(space, dataset)(jax.random.key(0), space.sample(jax.random.key(1), 3))
print(*(sum(f"cache_{each}" in event for event in events) for each in ("misses", "hits")))
"""
    environment = {"XDG_CACHE_HOME": str(tmp_path), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    (kept, found), (_, again) = (map(int, run(code, **environment).split()) for _ in range(2))
    assert found == 0
    assert again == kept > 0


CAUGHT = """
import os, warnings, jax
from rwejax.runtime import devices
devices.cores = lambda: 8
def caught(call):
    with warnings.catch_warnings(record=True) as each:
        warnings.simplefilter("always")
        call()
    return [f"{one.filename} {one.message}" for one in each]
"""
ADVICE = "<string> rwejax uses 1 of 8 cores: call rwejax.use_all_cores() before other JAX work"


def test_who_makes_an_evaluator_is_told_of_idle_cores_once():
    code = """
import rwejax
from rwejax.evaluate import estimators
dataset = rwejax.data.load("digits", train=40, validation=20, image_size=8)
space = rwejax.spaces.get("macro", nodes=2, channels=2, input_shape=dataset.image_shape)
Estimator = estimators.PerNetworkEstimator
print(caught(lambda: rwejax.RandomWeightEvaluator(space, dataset, devices=jax.devices())))
print(caught(lambda: rwejax.RandomWeightEvaluator(space, dataset)))
print(caught(lambda: Estimator(space, dataset, None, images=8)))
devices._advise.cache_clear()
print(caught(lambda: Estimator(space, dataset, None, images=8)))
"""
    assert run(CAUGHT + code, XLA_FLAGS="").splitlines() == ["[]", str([ADVICE]), "[]", str([ADVICE])]


@pytest.mark.parametrize(
    "choice",
    [
        "devices.use_all_cores()",
        "jax.config.update('jax_num_cpu_devices', 1)",
        "os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count=1'",
        "devices.cores = lambda: 1",
        "jax.default_backend = lambda: 'gpu'",
        "devices.set_up_process()",
    ],
)
def test_nobody_is_advised_who_has_chosen_or_has_nothing_to_choose(choice, tmp_path):
    code = f"{CAUGHT}\nprint(caught(lambda: exec({choice!r})), caught(devices.default_devices))"
    assert run(code, XLA_FLAGS="", XDG_CACHE_HOME=str(tmp_path)) == "[] []"


def test_all_cores_asked_for_too_late(tmp_path):
    code = """
jax.devices()
print(*caught(devices.use_all_cores))
print(caught(devices.set_up_process))
devices.cores = lambda: 1
print(caught(devices.use_all_cores))
"""
    late = "use_all_cores() came after JAX had started and has no effect: rwejax uses 1 of 8 cores"
    found = run(CAUGHT + code, XLA_FLAGS="", XDG_CACHE_HOME=str(tmp_path)).splitlines()
    assert found == [f"<string> {late}", "[]", "[]"]


@pytest.mark.parametrize(("given", "threads"), [({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2)])
def test_a_decomposition_takes_one_core_unless_somebody_has_said_otherwise(given, threads):
    """Decompositions of several devices would wait for each other. It is the library of scipy that JAX calls."""
    code = (
        "import rwejax; rwejax.use_all_cores(); import jax.numpy as jnp; jnp.linalg.cholesky(jnp.eye(4));"
        "from threadpoolctl import threadpool_info;"
        "print(*{each['num_threads'] for each in threadpool_info() if 'scipy.libs' in each['filepath']})"
    )
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", code], env=kept | given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(min(threads, devices.cores()))]
