import dataclasses
import enum
import typing
from pathlib import Path, PurePosixPath

import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from rwejax import evaluate, spaces
from rwejax.correlating.config import CorrelateConfig
from rwejax.errors import InputError
from rwejax.objectives import RWE_SCORES
from rwejax.runtime.hosts import HostsConfig
from rwejax.searching.config import SearchConfig
from rwejax.storage.atomic import replacing
from rwejax.storage.yaml_config import read_config, write_config
from rwejax.training.config import TrainConfig

FOLDER = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(path for path in FOLDER.glob("*.yaml") if not path.stem.startswith("train_"))


def write(path, text):
    path.write_text(text)
    return path


def test_the_scores_are_those_of_the_evaluator():
    assert (*RWE_SCORES, "failed") == evaluate.RidgeScores._fields


@pytest.mark.parametrize(
    "config",
    [
        SearchConfig(),
        SearchConfig(
            nodes=4,
            data_dir=Path("/somewhere/with a space"),
            dataset="folder:/ähren: #1",
            score="log_evidence",
            genomes_per_program=3,
        ),
    ],
)
def test_what_is_written_is_read(tmp_path, config):
    write_config(tmp_path / "config.yaml", config)
    assert read_config(tmp_path / "config.yaml", SearchConfig()) == config


def test_every_field_is_written_but_where_it_lies(tmp_path):
    write_config(tmp_path / "config.yaml", SearchConfig(run_dir=tmp_path))
    fields = {field.name for field in dataclasses.fields(SearchConfig)}
    assert set(yaml.safe_load((tmp_path / "config.yaml").read_text())) == fields - {"run_dir"}


def test_flags_that_name_code_are_named_again():
    assert SearchConfig(estimator="rwe,nwot").code_flags == ()
    code = SearchConfig(space="/a/b.py:Ladder@0123456789ab", estimator="rwe,/a/c.py:zen@0123456789ab")
    assert code.code_flags == ("--space", "/a/b.py:Ladder", "--estimator", "rwe,/a/c.py:zen")
    assert TrainConfig(space="/a/b.py:Ladder").code_flags == ("--space", "/a/b.py:Ladder")


def test_keys_that_a_file_leaves_out_come_from_the_base(tmp_path):
    path = write(tmp_path / "a.yaml", "seed: 3\n")
    assert read_config(path, SearchConfig()) == SearchConfig(seed=3)
    assert read_config(path, SearchConfig(seed=1, generations=2)) == SearchConfig(seed=3, generations=2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("populaton_size: 8", ["populaton_size", "did you mean 'population_size'"]),
        ("zzz: 8", ["zzz", "the keys are space, nodes"]),
        ("population_size: many", ["population_size", "'many'", "should be an integer"]),
        ("population_size: 8.5", ["8.5", "an integer"]),
        ("seed: yes", ["seed", "True", "an integer"]),
        ("nodes: [4]", ["nodes", "[4]", "an integer or null"]),
        ("dataset: 5", ["dataset", "a text"]),
        ("data_dir: 5", ["data_dir", "a path or null"]),
        ("seed: null", ["seed", "an integer"]),
        ("space: [macro", ["no YAML", "line 1"]),
        ("just words", ["holds no keys"]),
        ("", ["holds no keys"]),
        ("1: 2", ["unknown key 1"]),
    ],
)
def test_a_bad_file_is_answered_in_one_sentence(tmp_path, text, words):
    with pytest.raises(InputError) as caught:
        read_config(write(tmp_path / "bad.yaml", text), SearchConfig())
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert all(word in sentence for word in [*words, "bad.yaml"]), sentence


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.yaml' does not exist"):
        read_config(tmp_path / "nowhere.yaml", SearchConfig())
    with pytest.raises(InputError, match="unreadable"):
        read_config(tmp_path, SearchConfig())
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="no YAML"):
        read_config(tmp_path / "binary.yaml", SearchConfig())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"population_size": 1}, "population_size is 1: give 2 or more"),
        ({"population_size": -4}, "population_size is -4: give 2 or more"),
        ({"generations": 0}, "generations is 0: give 1 or more"),
        ({"seeds": 0}, "seeds is 0: give 1 or more"),
        ({"channels": 0}, "channels is 0: give 1 or more"),
        ({"train_images": -1}, "train_images is -1: give 1 or more"),
        ({"images_per_batch": 0}, "images_per_batch is 0: give 1 or more"),
        ({"seed": -1}, "seed is -1: give a seed from 0"),
        ({"seed": 2**31}, "seed is 2147483648: give a seed from 0"),
        ({"score": "accuracy"}, "score 'accuracy' is unknown: choose one of loo_error, validation_error"),
        ({"algorithm": "nsga3"}, "algorithm 'nsga3' is unknown: choose one of nsga2, random"),
        ({"race_images": 0}, "race_images is 0: give 1 or more"),
        ({"score": "log_evidence", "estimator": "nwot"}, "score is 'log_evidence' with estimator 'nwot': only rwe has"),
        ({"race_images": 99, "estimator": "rwf"}, "race_images is 99 with estimator 'rwf': only rwe alone can race"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, words):
    with pytest.raises(InputError) as caught:
        dataclasses.replace(SearchConfig(), **changes).validate()
    assert words in str(caught.value)


def test_the_defaults_are_valid():
    assert SearchConfig().validate() is None
    assert SearchConfig(population_size=7, generations=3).evaluations == 21


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    resolved = SearchConfig(dataset="folder:pictures", data_dir=Path("~/sets")).resolved()
    assert resolved.dataset == f"folder:{tmp_path}/pictures"
    assert resolved.data_dir == Path("/home/somebody/sets")
    assert SearchConfig().resolved() == SearchConfig(estimator="fit_path", nodes=4, channels=8)


def test_only_the_digits_have_narrower_macro_networks():
    assert SearchConfig().sizes == {"nodes": 4, "channels": 8}
    assert SearchConfig(dataset="cifar10").sizes == {"nodes": 4, "channels": 16}
    assert SearchConfig(channels=12).sizes == {"nodes": 4, "channels": 12}
    assert SearchConfig(space="nasbench201").sizes == SearchConfig(space="nasbench201", dataset="cifar10").sizes


@pytest.mark.parametrize("space", spaces.names())
def test_every_space_has_an_estimator_of_its_own_unless_rwe_is_asked_for(space):
    config = SearchConfig(space=space)
    assert config.estimators == (spaces.get_class(space).default_estimator,)
    assert config.resolved().estimator in evaluate.estimators.names()
    for asking in SearchConfig(space=space, score="log_evidence"), SearchConfig(space=space, race_images=200):
        assert asking.estimators == ("rwe",)
        assert asking.resolved().estimator == "rwe"
    assert SearchConfig(space=space, score="log_evidence", estimator="rwe, nwot").estimators == ("rwe", "nwot")


def test_differences_leave_out_where_the_results_lie():
    config = SearchConfig(run_dir=Path("a"))
    assert config.differences(SearchConfig(seed=1, nodes=5, run_dir=Path("b"))) == ["nodes", "seed"]
    assert config.differences(SearchConfig()) == []


def replace_by(path, *texts):
    with replacing(path) as file:
        for text in texts:
            file.write(text)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = write(tmp_path / "file", "old")
    with pytest.raises(TypeError, match="must be str"):
        replace_by(path, "half", 5)
    assert path.read_text() == "old"
    replace_by(path, "new", "er")
    assert path.read_text() == "newer"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_what_a_kill_leaves_of_a_file_is_overwritten(tmp_path):
    write(tmp_path / ".file.part", "half of what was once to be written")
    with replacing(tmp_path / "file", "wb") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_configs_are_valid_and_say_their_command(path):
    read_config(path, SearchConfig()).validate()
    head = path.read_text().split("\n\n")[0]
    assert f"rwejax search --config {path.stem}" in head
    assert "expected time" in head
    assert "figure" in head


def test_the_digits_config_is_the_default():
    config = read_config(next(path for path in CONFIGS if path.stem == "macro_digits"), SearchConfig())
    assert config == SearchConfig().resolved()


MADE = [
    (SearchConfig, {}),
    (TrainConfig, {"architecture": "1" * 21}),
    (CorrelateConfig, {"space": "macro", "truth": "a.csv", "column": "accuracy"}),
    (HostsConfig, {}),
]


def fields_of(kind, of):
    """Names of the fields that are of a type, or of it or None."""
    hints = typing.get_type_hints(kind)
    return [name for name, hint in hints.items() if hint is of or of in typing.get_args(hint)]


@pytest.mark.parametrize(("kind", "given"), MADE, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("scalar", [np.int64, np.uint8, np.int16, jnp.int32, np.array, jnp.asarray])
def test_integers_of_any_kind_become_pythons(kind, given, scalar):
    names = fields_of(kind, int)
    assert len(names) >= 2
    config = kind(**given, **{name: scalar(3) for name in names})
    assert config == kind(**given, **dict.fromkeys(names, 3))
    assert {type(getattr(config, name)) for name in names} == {int}


@pytest.mark.parametrize("scalar", [np.float32, np.float64, np.float16, np.longdouble, jnp.float32, jnp.bfloat16])
def test_numbers_of_any_kind_become_pythons(scalar):
    names = fields_of(TrainConfig, float)
    config = TrainConfig(**{name: scalar(0.25) for name in names})
    assert config == TrainConfig(**dict.fromkeys(names, 0.25))
    assert {type(getattr(config, name)) for name in names} == {float}
    assert type(TrainConfig(momentum=0).momentum) is float
    assert type(TrainConfig(momentum=np.int64(0)).momentum) is float


def test_texts_paths_and_truths_of_any_kind_become_pythons(tmp_path):
    class Place:
        def __fspath__(self):
            return str(tmp_path)

    class Space(enum.StrEnum):
        MACRO = "macro"

    for place in (str(tmp_path), tmp_path, PurePosixPath(tmp_path), Place(), np.str_(tmp_path)):
        config = SearchConfig(data_dir=place, run_dir=place)
        assert (config.data_dir, config.run_dir) == (tmp_path, tmp_path)
        assert type(config.data_dir) is type(Path())
    for name in (np.str_("macro"), Space.MACRO):
        assert type(SearchConfig(space=name).space) is str
        assert SearchConfig(space=name) == SearchConfig(space="macro")
    assert TrainConfig(flip=np.True_).flip is True
    assert TrainConfig(flip=jnp.asarray(False)).flip is False


@pytest.mark.parametrize(("kind", "given"), MADE[:3], ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize(
    "value",
    [True, np.False_, 3.0, np.float32(3), "3", b"3", [3], np.array([3]), 1j, np.datetime64(3, "D"), float("nan")],
)
def test_what_is_no_integer_is_refused(kind, given, value):
    for name in fields_of(kind, int):
        with pytest.raises(InputError, match=rf"^{name} is .*: give an integer( or None)?$"):
            kind(**given, **{name: value})


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (SearchConfig, {"seed": None}, "seed is None: give an integer"),
        (SearchConfig, {"space": 5}, "space is 5: give a text"),
        (SearchConfig, {"space": Path("macro")}, "space is .*Path.*: give a text"),
        (SearchConfig, {"estimator": ("rwe", "nwot")}, "estimator is a tuple of 2: give a text or None"),
        (SearchConfig, {"run_dir": 5}, "run_dir is 5: give a path or None"),
        (TrainConfig, {"learning_rate": "fast"}, "learning_rate is 'fast': give a number"),
        (TrainConfig, {"learning_rate": True}, "learning_rate is True: give a number"),
        (TrainConfig, {"learning_rate": 10**400}, "learning_rate is .*: give a number"),
        (TrainConfig, {"flip": 1}, "flip is 1: give true or false or None"),
        (TrainConfig, {"flip": np.int64(1)}, "flip is .*1.*: give true or false or None"),
        (HostsConfig, {"hosts": 2.0}, "hosts is 2.0: give an integer or None"),
    ],
)
def test_what_is_of_another_type_is_refused(kind, given, message):
    with pytest.raises(InputError, match=message):
        kind(**given)


def test_ranges_see_what_numpy_gives():
    for wrong in ({"seed": np.int64(-1)}, {"population_size": np.int8(1)}, {"generations": jnp.int32(0)}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} is "):
            SearchConfig(**wrong).validate()
    for wrong in ({"epochs": np.int64(0)}, {"momentum": np.float32(1)}, {"learning_rate": np.float64("nan")}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} is "):
            TrainConfig(architecture="1", **wrong).validate()
    with pytest.raises(InputError, match="sample is 2"):
        CorrelateConfig("macro", "a.csv", "accuracy", sample=np.uint8(2)).validate()


def test_what_numpy_gives_is_written_and_read(tmp_path):
    config = SearchConfig(seed=np.int64(3), channels=jnp.int32(4), space=np.str_("macro"), data_dir=np.str_("/a"))
    write_config(tmp_path / "config.yaml", config)
    assert (
        read_config(tmp_path / "config.yaml", SearchConfig())
        == config
        == SearchConfig(seed=3, channels=4, data_dir=Path("/a"))
    )
