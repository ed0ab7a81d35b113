"""How JAX is set up, each time in a process of its own."""

import os
import subprocess
import sys

import pytest

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
