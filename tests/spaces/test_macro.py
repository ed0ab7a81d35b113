import csv
import itertools

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rwejax import spaces
from rwejax.errors import InputError
from tests.networks.reference import decode

NODES = (2, 3, 4, 5, 6)


def genomes(nodes):
    space = spaces.get("macro", nodes=nodes)
    return st.lists(st.integers(0, 1), min_size=len(space.lower), max_size=len(space.lower)).map(np.int32)


def renumbered(space, genome, order):
    """Give node i of every phase the number order[i] + 1; None where a node would read a later one."""
    phases = []
    for phase in genome.reshape(3, -1):
        edges, skip = {}, phase[-1]
        for place, (i, j) in enumerate(zip(*np.tril_indices(space.nodes, -1), strict=True)):
            if phase[place]:
                edges[order[i], order[j]] = 1
        if any(i < j for i, j in edges):
            return None
        phases += [edges.get((i, j), 0) for i in range(space.nodes) for j in range(i)] + [skip]
    return np.array(phases, np.int32)


@pytest.mark.parametrize("measure", ["macs", "params"])
def test_complexity_equals_nsganet(truth, measure):
    with (truth / "nsganet_complexity.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["space"] == "macro"]
    assert len(rows) > 30
    for (nodes, channels), group in itertools.groupby(rows, lambda row: (row["nodes"], row["channels"])):
        space = spaces.get("macro", nodes=int(nodes), channels=int(channels))
        group = list(group)
        population = np.stack([space.from_string(row["genome"]) for row in group])
        assert getattr(space, measure)(population).tolist() == [int(row[measure]) for row in group]


def test_the_stem_of_imagenet_halves_the_image_three_times():
    """Phases without connections leave the stem, two 1x1 entries and the linear layer."""
    space = spaces.get("macro", channels=4, input_shape=(224, 224, 3), classes=1000, stem="imagenet")
    stem = 112**2 * 9 * 3 * 2 + 56**2 * 9 * 2 * 4 + 28**2 * 9 * 4 * 4
    assert space.maps == ((28, 28, 4), (14, 14, 8), (7, 7, 16))
    assert space.macs(np.zeros((1, 48), int))[0] == stem + 14**2 * 4 * 8 + 7**2 * 8 * 16 + 16 * 1000


@pytest.mark.parametrize("nodes", NODES)
def test_wiring_is_the_textbook_decoding(nodes):
    space = spaces.get("macro", nodes=nodes)
    population = np.asarray(space.sample(jax.random.key(nodes), 50))
    wiring = space.wiring(population)
    for g, genome in enumerate(population):
        for p, (inputs, outputs) in enumerate(decode(genome, nodes)):
            assert [np.flatnonzero(row).tolist() for row in wiring.inputs[g, p]] == inputs
            assert np.flatnonzero(wiring.outputs[g, p]).tolist() == outputs


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_canonical_is_one_form_of_all_renumberings(data):
    nodes = data.draw(st.sampled_from(NODES))
    space = spaces.get("macro", nodes=nodes)
    genome = data.draw(genomes(nodes))
    form = space.canonical(genome[None])
    assert space.macs(form) == space.macs(genome[None])
    assert space.params(form) == space.params(genome[None])
    other = renumbered(space, genome, data.draw(st.permutations(range(nodes))))
    if other is not None:
        assert (space.canonical(other[None]) == form).all()


def test_canonical_tells_networks_apart():
    """K = 3: of the 8 wirings, those with one edge are one network; a pair that reads or is read is two more."""
    space = spaces.get("macro", nodes=3)
    population = np.zeros((8, 12), np.int32)
    population[:, :3] = list(itertools.product((0, 1), repeat=3))
    forms = {space.to_string(form)[len("macro:3:") :][:3] for form in space.canonical(population)}
    assert forms == {"000", "100", "110", "011", "101", "111"}


def test_empty_phase_loses_its_skip():
    space = spaces.get("macro", nodes=4)
    with_skip = np.zeros((1, 21), np.int32)
    with_skip[0, 6] = 1
    assert (space.canonical(with_skip) == 0).all()


@pytest.mark.parametrize(
    ("text", "names"), [("01x" + "0" * 18, "character 3 is 'x'"), ("0101", "4 bits"), ("0" * 22, "22 bits")]
)
def test_bad_text_names_the_place(text, names):
    with pytest.raises(ValueError, match=names):
        spaces.get("macro", nodes=4).from_string(text)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"nodes": 7}, "nodes is 7.* 2 to 6 nodes"),
        ({"nodes": 1}, "nodes is 1.* 2 to 6 nodes"),
        ({"input_shape": (5, 32, 3)}, "5 x 32 pixels.* at least 6 x 6"),
    ],
)
def test_the_ranges_of_options(options, sentence):
    with pytest.raises(InputError, match=sentence):
        spaces.get("macro", **options)
