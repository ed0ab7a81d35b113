"""Whatever is public and takes genomes says which of them are none."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rwejax import data, evolve, networks, spaces
from rwejax.errors import InputError
from rwejax.evaluate import RandomWeightEvaluator, RandomWeightProblem, costs, estimators
from rwejax.evaluate.scoring import PopulationScorer
from rwejax.evolve.random_search import RandomSearch
from rwejax.genomes import check_genome, check_genomes
from tests.registered import every_space, smallest

KEY = jax.random.key(3)


def good(space, n=3):
    return np.array(space.sample(KEY, n))


def changed(space, value, row=1, gene=2, dtype=np.int32):
    genomes = good(space).astype(dtype)
    genomes[row, gene] = value
    return genomes


def bad(space):
    """Populations that are none, and what is to be said of each."""
    genomes, genes = good(space), len(space.lower)
    most = int(getattr(space, "largest", space.upper)[2])
    place = re.escape("[1, 2] is ")
    beyond = f"gene 2 of the {space.name} space is 0 to {most}$"
    return [
        (changed(space, -1), f"{place}-1: {beyond}"),
        (changed(space, most + 1), f"{place}{most + 1}: {beyond}"),
        (changed(space, 2**40, dtype=np.int64), f"{place}{2**40}: {beyond}"),
        (changed(space, 2**32 + 1, dtype=np.int64), f"{place}{2**32 + 1}: {beyond}"),
        (changed(space, 255, dtype=np.uint8), f"{place}255: {beyond}"),
        (changed(space, 2**64 - 1, dtype=np.uint64), f"{place}{2**64 - 1}: {beyond}"),
        (jnp.asarray(changed(space, -7)), f"{place}-7: {beyond}"),
        (changed(space, 0.5, dtype=float), r"is float64 where .*\[1, 2\] is 0\.5, but genes are integers: round it"),
        (changed(space, np.nan, dtype=np.float32), r"is float32 where .*\[1, 2\] is nan, but genes are integers"),
        (genomes.astype(float), "is float64, but genes are integers: round it and give it as int32"),
        (jnp.asarray(genomes, jnp.bfloat16), "is bfloat16, but genes are integers"),
        (genomes.astype(complex), "is complex128"),
        (genomes.astype(str), "is <U.*, but genes are integers: give it as int32"),
        (genomes.astype(object), "is object"),
        (genomes[0], re.escape(f"has shape ({genes},)")),
        (genomes[:, :-1], re.escape(f"has shape (3, {genes - 1})")),
        (genomes[None], re.escape(f"has shape (1, 3, {genes})")),
        (np.zeros((3, genes + 1), np.int32), re.escape(f"has shape (3, {genes + 1})")),
    ]


def refuses(call, space, cases=None):
    for genomes, words in bad(space) if cases is None else cases:
        with pytest.raises(InputError, match=words) as caught:
            call(genomes)
        assert len(str(caught.value).splitlines()) == 1


METHODS = ("macs", "params", "canonical")


@every_space
def test_every_method_of_a_space(name):
    space = spaces.get(name)
    for method in (*METHODS, *(each for each in ("wiring", "decode") if hasattr(space, each))):
        call = getattr(space, method)
        refuses(call, space)
        genomes = good(space)
        expected = jax.tree.map(np.asarray, call(genomes))
        for same in (genomes.astype(np.uint8), genomes.astype(np.int64), jnp.asarray(genomes), genomes.tolist()):
            jax.tree.map(np.testing.assert_array_equal, expected, jax.tree.map(np.asarray, call(same)))
    refuses(lambda genomes: space.to_string(np.asarray(genomes)[1]), space, GENE_CASES(space))


def GENE_CASES(space):
    cases = ((genomes, words) for genomes, words in bad(space) if np.ndim(genomes) == 2 and "shape" not in words)
    return [(genomes, words.replace(r"\[1,\ 2\]", r"\[2\]").replace("[1, 2", "[2")) for genomes, words in cases]


@every_space
def test_truth_values_are_bits_and_nothing_else(name):
    space = spaces.get(name)
    mask = good(space) > 0
    if space.upper.max() == 1:
        assert (space.macs(mask) == space.macs(mask.astype(int))).all()
    else:
        with pytest.raises(InputError, match=f"is bool, but genes of the {name} space reach {space.upper.max()}"):
            space.macs(mask)


def test_what_is_traced_passes():
    space = spaces.get("macro", nodes=3)
    seen = jax.jit(lambda genomes: check_genomes(space, genomes))(jnp.full((2, 12), 9))
    assert seen.tolist() == np.full((2, 12), 9).tolist()
    with pytest.raises(InputError, match="is float32"):
        jax.jit(lambda genomes: check_genomes(space, genomes))(jnp.zeros((2, 12)))
    with pytest.raises(InputError, match="has shape"):
        jax.jit(lambda genomes: check_genomes(space, genomes))(jnp.zeros((2, 11), int))
    with pytest.raises(InputError, match=r"genomes\[0, 0\] is 9"):  # a constant of the function is no tracer
        jax.jit(lambda: check_genomes(space, np.full((2, 12), 9)))()


def test_the_kind_of_array_stays():
    space = spaces.get("micro")
    assert isinstance(check_genomes(space, good(space)), np.ndarray)
    assert isinstance(check_genomes(space, jnp.asarray(good(space))), jax.Array)
    assert check_genomes(space, good(space).astype(np.uint8)).dtype == np.int32
    genome = check_genome(space, jnp.asarray(good(space)[0]))
    assert (type(genome), genome.dtype, genome.shape) == (np.ndarray, np.int32, (40,))
    assert check_genomes(space, np.zeros((0, 40))).shape == (0, 40)
    for ragged in ([[0, 1], [0]], None, [["a"], [2]]):
        with pytest.raises(InputError):
            check_genomes(space, ragged)


def test_darts_reads_none_and_nothing_above():
    space = spaces.get("darts")
    genomes = np.zeros((1, 24), np.int32)
    genomes[0, 0] = 7
    assert "('none', 0)" in space.to_string(genomes[0])
    for gene, most in ((0, 7), (2, 1), (5, 5), (8, 11), (11, 19), (23, 19)):
        genomes[:] = 0
        genomes[0, gene] = most + 1
        with pytest.raises(InputError, match=rf"genomes\[0, {gene}\] is {most + 1}: gene {gene} .* is 0 to {most}$"):
            space.decode(genomes)


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=20, validation=10, image_size=32)


@every_space
def test_networks_evaluators_and_costs(name, dataset):
    """All are refused before anything is compiled."""
    space = spaces.get(name, **smallest(name) | {"classes": 10}, input_shape=dataset.image_shape)
    network = networks.network(space)
    evaluate = RandomWeightEvaluator(space, dataset)
    problem = RandomWeightProblem(evaluate)
    cases = bad(space)
    calls = [
        lambda genomes: networks.lower(space, network, genomes, 3),
        functools.partial(evaluate, KEY),
        functools.partial(evaluate.features, KEY),
        functools.partial(PopulationScorer(space, dataset, ("macs",), 1), KEY),
        *(functools.partial(estimators.get(each, space, dataset), KEY) for each in ("nwot", "macs", "params", "rwe")),
        *(costs.get(each, space) for each in costs.names()),
    ]
    for call in calls:
        refuses(call, space, cases)
    refuses(lambda genomes: networks.build(space, np.asarray(genomes)[1]), space, GENE_CASES(space))
    whole = [(genomes, words) for genomes, words in cases if np.issubdtype(np.asarray(genomes).dtype, np.integer)]
    state = problem.init(KEY)
    refuses(lambda genomes: problem.eval(KEY, genomes, state), space, [case for case in whole if np.ndim(case[0]) == 2])


def test_algorithms():
    space = spaces.get("nasbench_macro")
    genomes = good(space, 4)
    values = np.ones((4, 2), np.float32)
    nsga2, random = evolve.NSGA2(4, space), RandomSearch(4, space, 20)
    params = nsga2.default_params
    state, drawn = nsga2.init(KEY, genomes, values, params), random.init(KEY, genomes, values, None)
    for value, kind in ((-1, np.int32), (3, np.int64), (2**32, np.int64), (200, np.uint8)):
        wrong = genomes.astype(kind)
        wrong[3, 5] = value
        for call in (
            lambda wrong=wrong: nsga2.init(KEY, wrong, values, params),
            lambda wrong=wrong: nsga2.tell(KEY, wrong, values, state, params),
            lambda wrong=wrong: random.init(KEY, wrong, values, None),
            lambda wrong=wrong: random.tell(KEY, wrong, values, drawn, None),
        ):
            with pytest.raises(InputError, match=rf"population\[3, 5\] is {value}: gene 5 .* is 0 to 2$"):
                call()
        with pytest.raises(InputError, match=rf"genomes\[3, 5\] is {value}: gene 5 of the space is 0 to 2$"):
            evolve.mutate(KEY, wrong, space.lower, space.upper, 0.5)
    for shape in ((4,), (4, 7), (1, 4, 8)):
        with pytest.raises(InputError, match="population has shape"):
            nsga2.tell(KEY, np.zeros(shape, int), values, state, params)
