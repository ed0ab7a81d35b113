"""Configs by name: what comes with rwejax, and what the user has."""

from pathlib import Path

import pytest

from rwejax.cli import flags, search, train
from rwejax.errors import InputError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_clone_finds_its_configs_by_name():
    assert flags.packaged() == {path.stem: path for path in CONFIGS.glob("*.yaml")}
    assert len(flags.packaged()) > 1


@pytest.mark.parametrize("name", [path.stem for path in sorted(CONFIGS.glob("*.yaml"))])
def test_a_name_reads_as_the_file_does(name):
    def parse(*words):
        return train.parse(words)[0].train if name.startswith("train_") else search.parse(words).search

    assert parse("--config", name) == parse("--config", str(CONFIGS / f"{name}.yaml"))


def test_flags_override_a_packaged_config():
    assert search.parse(["--config", "macro_cifar10", "--seed", "3"]).search.seed == 3


def test_the_configs_inside_a_wheel_come_before_those_of_a_neighbour(tmp_path, monkeypatch):
    inside, beside = tmp_path / "rwejax" / "configs", tmp_path / "configs"
    for folder in (inside, beside):
        folder.mkdir(parents=True)
        (folder / "mine.yaml").write_text("seed: 1\n")
    monkeypatch.setattr(flags, "_FOLDERS", (inside, beside))
    assert flags.find_config(Path("mine")) == inside / "mine.yaml"


def test_a_file_of_the_user_comes_first(tmp_path):
    (tmp_path / "macro_digits").write_text("seed: 7\n")
    assert search.parse(["--config", "macro_digits"]).search.seed == 7


def test_a_folder_of_that_name_hides_nothing(tmp_path):
    (tmp_path / "macro_digits").mkdir()
    assert flags.find_config(Path("macro_digits")) == CONFIGS / "macro_digits.yaml"


def test_an_unknown_name_lists_those_that_there_are():
    with pytest.raises(InputError) as caught:
        search.parse(["--config", "macro_cifar"])
    names = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
    assert str(caught.value) == (
        f"config 'macro_cifar' is neither a file nor one of the packaged configs: choose {names}, "
        "or give the path of a YAML file"
    )


@pytest.mark.parametrize("path", ["macro_digits.yaml", "./folder/macro_digits"])
def test_a_path_is_no_name(path):
    with pytest.raises(InputError, match=r"macro_digits.*does not exist"):
        search.parse(["--config", path])
