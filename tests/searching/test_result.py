from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rwejax import pick
from rwejax.errors import InputError
from rwejax.searching.config import SearchConfig
from rwejax.searching.front import find_front

POINTS = arrays.arrays(np.float64, st.tuples(st.integers(1, 12), st.integers(2, 3)), elements=st.integers(1, 20))


def result_of(objectives):
    config = SearchConfig(estimator="rwe" if objectives.shape[1] == 2 else "rwe,nwot")
    front = find_front(objectives)
    return SimpleNamespace(objectives=objectives, front=front, outcome=outcome_of(objectives, front), config=config)


def outcome_of(points, front):
    return SimpleNamespace(rows=front, points=points)


@given(POINTS, st.floats(0.01, 100), st.floats(-5, 5))
def test_the_pick_is_on_the_front_whatever_the_units(objectives, scale, shift):
    result = result_of(objectives)
    knee = pick(result)
    assert knee in result.front
    moved = SimpleNamespace(outcome=outcome_of(scale * objectives + shift, result.front))
    chosen, again = (
        (objectives[row] - objectives[result.front].min(0)) / np.maximum(np.ptp(objectives[result.front], 0), 1e-9)
        for row in (knee, pick(moved))
    )
    assert again.sum() == pytest.approx(chosen.sum())


@given(POINTS)
def test_the_least_error_with_and_without_a_limit(objectives):
    result = result_of(objectives)
    assert objectives[pick(result, "error"), 0] == objectives[:, 0].min()
    limit = np.median(objectives[result.front, -1])
    row = pick(result, f"macs:{limit}M")
    within = objectives[:, -1] <= limit
    assert within[row]
    assert objectives[row, 0] == objectives[within, 0].min()


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ("best", "pick 'best' is unknown: give knee, error, a number or COST:LIMIT"),
        ("0", "pick '0' is out of range: the front has 2 networks, give 1 to 2"),
        ("macs:many", "macs 'many' is no limit: give a number and one of K, M, G, such as 300M"),
        ("macs:900K", "pick 'macs:900K' leaves no network: the least of the front is multiply-adds 2.000 M"),
    ],
)
def test_bad_rules_are_one_sentence(rule, sentence):
    with pytest.raises(InputError, match=sentence):
        pick(result_of(np.array([[1.0, 5.0], [3.0, 2.0]])), rule)


def test_units_of_the_limit():
    result = result_of(np.array([[1.0, 5000.0], [3.0, 2.0], [2.0, 40.0]]))
    assert [pick(result, rule) for rule in ("macs:5G", "macs:40M", "macs:2000K", "macs:2000000")] == [0, 2, 1, 1]


def test_a_limit_of_any_cost_that_is_recorded():
    objectives = np.array([[1.0, 5.0, 7.0], [3.0, 2.0, 2.0], [2.0, 4.0, 1.0]])
    evaluations = [SimpleNamespace(macs=macs, params=params) for macs, params in ((9, 1000), (8, 3000), (7, 2000))]
    config = SearchConfig(estimator="rwe", costs="memory,latency")
    outcome = outcome_of(objectives, np.arange(3))
    result = SimpleNamespace(objectives=objectives, outcome=outcome, config=config, evaluations=evaluations)
    rules = {"memory:4KiB": 2, "memory:3KiB": 1, "latency:10ms": 0, "latency:1500us": 2, "params:2.5K": 0, "macs:7": 2}
    assert {rule: pick(result, rule) for rule in rules} == rules
    with pytest.raises(InputError, match=r"^pick 'latency:0.5ms' leaves no network: .* is latency 1.000 ms$"):
        pick(result, "latency:0.5ms")
    with pytest.raises(InputError, match=r"^the search has not recorded latency: pick by macs$"):
        pick(result_of(objectives[:, :2]), "latency:5ms")
