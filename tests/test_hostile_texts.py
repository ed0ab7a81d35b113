"""Texts that make no sense: whoever reads them says one short sentence, soon."""

import collections
import contextlib
import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rwejax
from rwejax import CorrelateConfig, InputError, SearchConfig, TrainConfig, data, spaces
from rwejax.bounds import check_bounds
from rwejax.config import RunConfig
from rwejax.correlating.config import CorrelateRunsConfig
from rwejax.errors import quoted
from rwejax.objectives import COSTS
from rwejax.storage.yaml_config import from_yaml
from tests import hostile

SOON = 10
often = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
LONG = [text[:50_000].decode() for text in hostile.LONG.values()]  # what a config file may have
words = st.one_of(
    st.text(max_size=30),
    st.sampled_from([*hostile.SCALARS, *LONG]),
    st.text("0123456789.-+eE_:, |~()[]'\"KMGmis", max_size=40),
    st.text(max_size=5).map(lambda text: text * 4000),
)


def answer(call, *arguments):
    """Call; what is refused is refused in a short sentence, which is returned."""
    said = None
    with hostile.watchdog(SOON):
        try:
            call(*arguments)
        except InputError as error:
            said = str(error)
    assert said is None or 0 < len(said) <= 1000, "no sentence"
    return said


@pytest.mark.parametrize("name", spaces.names())
def test_an_architecture(name):
    space = spaces.get(name)
    valid = space.to_string(space.lower)

    def put(what):
        return valid[: what[0]] + what[1] + valid[what[0] :]

    @often
    @given(
        st.one_of(words, st.tuples(st.integers(0, 200), words).map(lambda at: valid[: at[0]] + at[1] + valid[at[0] :]))
    )
    def check(text):
        genome = space.lower
        with hostile.watchdog(SOON), contextlib.suppress(ValueError):  # callers make a sentence of it
            genome = space.from_string(text)
        assert ((space.lower <= genome) & (genome <= space.upper)).all()

    check()


@functools.cache
def searched():
    return rwejax.load(hostile.OLD / "search")


@often
@given(words, st.sampled_from(["", "macs:", "params:", "memory:", "latency:", "knee:", ":"]))
def test_a_pick_rule(text, start):
    answer(searched().pick, start + text)


@often
@given(words, st.sampled_from(sorted(COSTS)))
def test_a_limit(text, cost):
    said = answer(COSTS[cost].parse, text)
    if said is None:
        assert 0 <= COSTS[cost].parse(text) < 1e28


FIELDS = {
    name: sorted(kind.__dataclass_fields__) for name, kind in {"search": SearchConfig, "train": TrainConfig}.items()
}


@often
@given(st.sampled_from(sorted(FIELDS)), st.data(), words)
def test_a_value_of_a_config_file(kind, drawn, text):
    base = {"search": SearchConfig(estimator="rwf"), "train": TrainConfig(architecture="1")}[kind]
    field = drawn.draw(st.sampled_from(FIELDS[kind]))

    def read():
        config = from_yaml(f"{field}: {text}\n", base)
        assert isinstance(config, RunConfig)
        config.validate()

    answer(read)


@settings(often, max_examples=100)
@given(st.one_of(words, words.map("folder:".__add__)))
def test_a_name_of_a_dataset(text):
    def load():
        data.load(text, train=2, validation=1)

    answer(load)


numbers = st.one_of(
    st.integers(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.sampled_from([0, -1, 2**31, 2**63, 10**30, float("nan"), float("inf")]),
)


@often
@given(st.data(), numbers)
def test_a_number_of_a_config_in_a_program(drawn, number):
    bases = SearchConfig(), TrainConfig(architecture="1"), CorrelateConfig("macro", "t", "c")
    base = drawn.draw(st.sampled_from(bases))
    fields = type(base).__dataclass_fields__.values()
    names = [field.name for field in fields if "Bounds" in str(field.type)]
    name = drawn.draw(st.sampled_from(names))
    said = answer(lambda: check_bounds(type(base)(**{**vars(base), name: number})))
    assert said is None or said.startswith(f"{name} is ")
    if said is None:
        assert 0 <= number <= 1e30


@often
@given(words)
def test_a_list_of_runs(text):
    answer(CorrelateRunsConfig(text, "truth.csv", "accuracy").validate)


@given(st.recursive(st.one_of(st.integers(), st.text(), st.floats(), st.binary(), st.none()), st.lists))
def test_a_quote_is_short(value):
    assert len(quoted(value)) <= 80


def test_a_message_is_short_and_keeps_both_ends():
    said = str(InputError(f"space {'x' * 10**7!r} is unknown: choose one of macro, micro"))
    assert len(said) <= 1000
    assert said.startswith("space 'xxx")
    assert said.endswith("choose one of macro, micro")
    assert collections.Counter(said)["."] == 3
