"""How JAX is set up, each time in a process of its own."""

import os
import subprocess
import sys

import pytest

PRINT_FOLDER = """
import jax
from rwejax.parallel import keep_compilations
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


def test_another_process_compiles_nothing_anew(tmp_path):
    code = """
import jax
from rwejax import SearchConfig, console

hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if "cache_hit" in event else None)
config = SearchConfig(
    nodes=2, channels=2, train_images=40, validation_images=20, population_size=4, generations=2, run_dir=RUN_DIR
)
console.run(config)
print(len(hits))
"""
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    first, again = (  # compiled programs found
        int(run(code.replace("RUN_DIR", repr(str(tmp_path / name))), **environment).splitlines()[-1])
        for name in ("first", "again")
    )
    assert first == 0
    assert again > 3
