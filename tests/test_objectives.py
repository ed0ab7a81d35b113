import pytest
from hypothesis import given
from hypothesis import strategies as st

from rwejax.errors import InputError
from rwejax.objectives import COSTS, RWE_SCORES, recorded, score
from rwejax.searching.config import SearchConfig

ALL = [*RWE_SCORES.values(), *COSTS.values(), score("nwot"), score("anti_error")]


@pytest.mark.parametrize("objective", ALL, ids=lambda objective: objective.name)
@given(value=st.floats(1e-3, 1e9))
def test_what_is_minimised_has_the_units_that_are_shown(objective, value):
    minimised = objective.minimised(value)
    assert abs(minimised) * objective.scale == pytest.approx(value)
    assert (minimised < 0) == objective.maximised
    shown = float(objective.number(minimised))
    assert shown == pytest.approx(value / objective.scale, abs=0.006)
    assert objective.write(minimised).startswith(objective.label)
    assert objective.write(minimised).endswith(objective.unit)


def test_a_name_with_error_in_it_says_nothing_about_the_direction():
    """Of an estimator more is better, whatever it is called; of the errors that we know, less."""
    assert score("anti_error").maximised
    assert score("anti_error").write(-0.25) == "anti_error 0.2500"
    assert not any(score(name).maximised for name in ("loo_error", "validation_error", "race_error"))
    assert recorded("latency").cost


@pytest.mark.parametrize(
    ("name", "text", "base"),
    [
        ("macs", "300M", 3e8),
        ("macs", "1500", 1500),
        ("params", "2.5K", 2500),
        ("memory", "2MiB", 2 * 2**20),
        ("memory", "2MB", 2e6),
        ("latency", "5ms", 5),
        ("latency", "0.5 s", 500),
        ("latency", "250us", 0.25),
    ],
)
def test_limits_have_units(name, text, base):
    assert COSTS[name].parse(text) == pytest.approx(base)


@pytest.mark.parametrize(("name", "text"), [("macs", "many"), ("macs", "3ms"), ("latency", "5M"), ("memory", "-2MiB")])
def test_a_limit_of_another_unit_is_one_sentence(name, text):
    with pytest.raises(
        InputError, match=f"^{name} '{text}' is no limit: give a number and one of .*, such as "
    ) as caught:
        COSTS[name].parse(text)
    assert "\n" not in str(caught.value)


def test_the_estimators_come_first_and_then_the_costs():
    config = SearchConfig(estimator="rwe,nwot", score="log_evidence", costs="latency")
    assert [objective.name for objective in config.objectives] == ["log_evidence", "nwot", "latency"]
    assert [objective.maximised for objective in config.objectives] == [True, True, False]
    assert config.recorded == (*RWE_SCORES, "nwot", "latency")
    assert SearchConfig(costs="macs,memory").recorded[-1] == "memory"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"costs": "watts"},
            "costs 'watts' names 'watts', which is unknown: choose from macs, params, memory, latency",
        ),
        ({"costs": "macs,macs"}, "names one twice"),
        ({"costs": ""}, "names ''"),
        ({"costs": "macs,params", "estimator": "rwe,nwot"}, "make 4 objectives: give three at most"),
        ({"costs": "params", "estimator": "rwe", "race_images": 100}, "only macs can race"),
        ({"latency_batch": 8}, "latency_batch is 8 without latency"),
        ({"costs": "latency", "latency_batch": 0}, "latency_batch is 0: give 1 or more"),
    ],
)
def test_costs_that_cannot_be_are_one_sentence(changes, words):
    with pytest.raises(InputError, match=words) as caught:
        SearchConfig(**changes).validate()
    assert "\n" not in str(caught.value)
