import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import networks, spaces
from rwejax.errors import InputError
from rwejax.evaluate import costs
from rwejax.evaluate.costs import chains, timing

# Stage 1: node 1 is a pool, node 3 a convolution of it; later stages alike.
POOL_THEN_CONVOLUTION = "|avg_pool_3x3~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|"
TABLE = {"head": 0.5, "enter1/stem/1": 1, "enter2/residual/1": 2, "enter3/residual/1": 4, "output/output/1": 8}
TABLE |= {f"stage{s}/avg_pool_3x3/1": 16 * s for s in (1, 2, 3)}
TABLE |= {f"stage{s}/nor_conv_3x3/1": 100 * s for s in (1, 2, 3)}
# In the first stage a pair takes longer than one and one, in the others about as long.
PAIRS = {"stage1/avg_pool_3x3/1 > stage1/nor_conv_3x3/1": 150}
PAIRS |= {f"stage{s}/avg_pool_3x3/1 > stage{s}/nor_conv_3x3/1": (116 + 5) * s for s in (2, 3)}


@pytest.fixture
def space():
    return spaces.get("nasbench201", channels=2, cells=1, input_shape=(8, 8, 3))


@pytest.fixture
def asked(monkeypatch):
    """Nothing is timed: the number of calls so far is the number of seconds."""
    calls = []

    class Fake:
        """As a stopwatch."""

        def __init__(self, function, variables, data, device):
            calls.append((jax.eval_shape(function, variables, data).shape, device))
            self.seconds = float(len(calls))

        def run(self):
            pass

    def call_seconds(functions, device):
        return [Fake(*function, device).seconds for function in functions]

    monkeypatch.setattr(timing, "Stopwatch", Fake)
    monkeypatch.setattr(timing, "call_seconds", call_seconds)
    return calls


def genomes(space, *texts):
    return np.asarray(space.canonical(np.stack([space.from_string(text) for text in texts])))


def test_the_sum_of_a_networks_rows_and_of_what_pairs_take_beyond_a_tenth_more(space, asked):
    cost = costs.get("latency", space, table=TABLE | PAIRS, slowdown=3)
    found = cost(genomes(space, POOL_THEN_CONVOLUTION, "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"))
    ends = 0.5 + 1 + 2 + 4 + 8
    alone = (16 + 100) * (1 + 2 + 3)
    np.testing.assert_allclose(found, [3 * (ends + alone) + 150 - 1.1 * (16 + 100), 3 * 0.5], rtol=1e-12)
    assert not asked


def test_what_the_table_lacks_is_measured_once_and_kept(space, asked):
    lacks = {name: value for name, value in (TABLE | PAIRS).items() if name not in ("head", "stage2/nor_conv_3x3/1")}
    cost = costs.Latency(space, batch=3, table=lacks, slowdown=1)
    first = cost(genomes(space, POOL_THEN_CONVOLUTION))
    assert asked == [((3, 10), jax.devices()[0]), ((3, 4, 4, 4), jax.devices()[0])]
    assert {name: cost.table[name] for name in TABLE.keys() - lacks.keys()} == {
        "head": 1000,
        "stage2/nor_conv_3x3/1": 2000,
    }
    assert (cost(genomes(space, POOL_THEN_CONVOLUTION)) == first).all()
    assert len(asked) == 2
    assert "head" not in lacks  # the caller's own table


def test_all_that_random_networks_need_is_measured_beforehand(space, asked):
    cost = costs.Latency(space)
    cost.measure()
    count = len(asked)
    assert len(cost.table) == count - 3  # three networks are called whole
    assert [shape for shape, _ in asked[-3:]] == [(1, 10)] * 3
    cost(np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(0), 30)))))
    cost.measure()
    assert len(asked) == count


@pytest.mark.parametrize(("seconds", "slowdown"), [(0.05, 2.5), (0.001, 1.0)])
def test_the_slowdown_is_that_of_whole_networks_over_their_rows(space, asked, monkeypatch, seconds, slowdown):
    first = costs.Latency(space)
    first.measure()
    cost = costs.Latency(space, table=dict.fromkeys(first.table, 0.0) | {"head": 20})
    monkeypatch.setattr(timing, "call_seconds", lambda functions, _: [seconds] * len(functions))
    np.testing.assert_allclose(cost(genomes(space, POOL_THEN_CONVOLUTION)), [20 * slowdown], rtol=1e-12)
    assert cost.slowdown == slowdown


def test_a_table_is_kept_as_json_and_gives_the_same_values(space, asked):
    cost = costs.Latency(space, batch=2)
    population = np.asarray(space.canonical(np.asarray(space.sample(jax.random.key(0), 30))))
    found, count = cost(population), len(asked)
    saved = json.loads(json.dumps(cost.to_json()))
    again = costs.Latency.from_json(space, saved, batch=2)
    assert (again(population) == found).all()
    assert again.to_json() == saved
    assert len(asked) == count


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"device": "abacus"}, "device 'abacus' and is wanted with 'cpu'"),
        ({"batch": 4}, "batch 4 and is wanted with 1"),
        ({"space": "macro"}, "space 'macro'"),
        ({"maps": {}}, "maps {}"),
        ({"milliseconds": None}, "no 'milliseconds'"),
        ({"slowdown": 0.5}, "a slowdown of 0.5"),
        ({"slowdown": "much"}, "a slowdown of 'much'"),
        ({"milliseconds": {"head": "much"}}, "'much' for 'head': give milliseconds"),
        ({"milliseconds": {"head": -1.0}}, "-1.0 for 'head': give milliseconds"),
    ],
)
def test_a_table_of_something_else_is_refused_in_one_sentence(space, change, reason):
    saved = costs.Latency(space, table=TABLE).to_json()
    with pytest.raises(InputError, match=reason) as caught:
        costs.Latency.from_json(space, saved | change)
    assert len(str(caught.value).splitlines()) == 1


def test_a_batch_of_none_is_refused(space):
    with pytest.raises(InputError, match=r"^batch is 0: give 1 or more$"):
        costs.Latency(space, batch=0)


@pytest.mark.slow
def test_a_whole_network_is_what_runs_at_inference(space):
    [genome] = genomes(space, POOL_THEN_CONVOLUTION)
    whole = chains.whole_function(space, genome, 2)
    assert set(whole.variables) == {"params", "batch_stats"}
    values = jax.tree.map(lambda leaf: jnp.full(leaf.shape, 0.1, leaf.dtype), (whole.variables, whole.sources))
    expected = networks.build(space, genome).apply(values[0], values[1][0])
    np.testing.assert_allclose(whole.apply(*values), expected, rtol=1e-6)


def test_a_call_is_timed_of_what_is_given():
    shapes = {"kernel": jax.ShapeDtypeStruct((3, 2), jnp.float32)}, [jax.ShapeDtypeStruct((4, 3), jnp.float32)]
    seen = []

    def function(weights, maps):
        seen.append((weights["kernel"].shape, maps[0].shape))
        return maps[0] @ weights["kernel"]

    [seconds] = timing.call_seconds([(function, *shapes)], jax.devices()[0])
    assert 0 < seconds < 1
    assert seen == [((3, 2), (4, 3))]  # traced once, and then called as compiled


def test_a_turn_of_the_loop_changes_every_operand_and_makes_the_whole_result():
    """So that nothing can be computed once for all turns, or left out."""

    def function(weights, x):
        return x @ weights["kernel"] + weights["bias"]

    weights, x = {"kernel": jnp.eye(3), "bias": jnp.ones(3)}, jnp.arange(6.0).reshape(2, 3)
    changed, new, result = timing._turn(function, weights, x, jnp.zeros((2, 3)))
    np.testing.assert_array_equal(result, function(weights, x))
    for before, after in zip(jax.tree.leaves((weights, x)), jax.tree.leaves((changed, new)), strict=True):
        assert before.shape == after.shape
        assert (np.asarray(before) != np.asarray(after)).ravel().tolist() == [True] + [False] * (before.size - 1)
        assert jnp.abs(after.ravel()[0] - 0.1) < 0.051
