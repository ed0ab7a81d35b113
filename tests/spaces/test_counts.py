"""Counts of operations and paths, against counting characters in published texts and against walking every path."""

import csv
import dataclasses
import itertools

import jax
import numpy as np
import pytest

from rwejax import InputError, spaces
from tests.registered import WRITTEN_DOWN, every_space


def sample(space, n=40, seed=0):
    return np.asarray(space.sample(jax.random.key(seed), n))


def paths(edges, node, target):
    """Every path from a node to the target, as its lists of edge lengths."""
    if node == target:
        return [[]]
    return [
        [length, *rest] for (reader, source), length in edges if source == node for rest in paths(edges, reader, target)
    ]


@every_space
def test_counts_are_integers_equal_for_equal_networks(name):
    space = spaces.get(name)
    genomes = sample(space)
    found, same = spaces.counts(space, genomes), spaces.counts(space, space.canonical(genomes))
    assert all(values.shape == (40,) and np.issubdtype(values.dtype, np.integer) for values in found.values())
    assert any(np.ptp(values) for values in found.values())
    for column, values in found.items():
        np.testing.assert_array_equal(values, same[column])
        np.testing.assert_array_equal(values[7:9], spaces.counts(space, genomes[7:9])[column])


@every_space
def test_counts_refuse_what_is_no_population(name):
    space = spaces.get(name)
    with pytest.raises(InputError, match="genomes"):
        spaces.counts(space, np.full((2, len(space.lower)), 99))


def test_a_space_without_counts_gives_its_canonical_genes():
    space = spaces.get("ladder")
    assert "ladder" not in WRITTEN_DOWN
    assert not hasattr(space, "counts")
    genomes = sample(space, 5)
    found = spaces.counts(space, genomes)
    assert list(found) == [f"gene_{gene}" for gene in range(6)]
    np.testing.assert_array_equal(np.stack([*found.values()], 1), space.canonical(genomes))


def test_nasbench201_counts_are_those_of_the_published_texts(truth):
    space = spaces.get("nasbench201")
    with (truth / "nasbench201.csv").open() as file:
        texts = [row["architecture"] for row in csv.DictReader(file)]
    genomes = np.array([space.from_string(text) for text in texts])
    canonical = space.canonical(genomes)
    plain = (canonical == genomes).all(1)  # a text that has nothing to drop is its network's own
    assert plain.sum() > 100
    found = spaces.counts(space, genomes)
    for operation in space.operations:
        expected = np.array([text.count(operation) for text in texts])
        np.testing.assert_array_equal(found[operation][plain], expected[plain])
    edges = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]
    for row, genome in enumerate(canonical[:100]):
        there = [(edge, int(gene in (2, 3))) for edge, gene in zip(edges, genome, strict=True) if gene]
        lengths = [sum(path) for path in paths(there, 0, 3)]
        assert found["paths"][row] == len(lengths)
        assert found["depth"][row] == max(lengths, default=0)
        assert found["shortest"][row] == min(lengths, default=0)


def test_nasbench_macro_counts_are_those_of_the_published_digits(truth):
    space = spaces.get("nasbench_macro")
    with (truth / "nasbench_macro.csv").open() as file:
        texts = [row["architecture"] for row in csv.DictReader(file)][:200]
    found = spaces.counts(space, np.array([space.from_string(text) for text in texts]))
    for number, stage in enumerate((slice(0, 2), slice(2, 5), slice(5, 8)), 1):
        for digit, name in enumerate(("identity", "bottleneck_3_3", "bottleneck_6_5")):
            expected = [text[stage].count(str(digit)) for text in texts]
            assert found[f"{name}_stage_{number}"].tolist() == expected
    assert found["depth"].tolist() == [8 - text.count("0") for text in texts]


@pytest.mark.parametrize("name", ["darts", "micro"])
def test_cells_count_what_a_genotype_lists(name):
    space = spaces.get(name)
    genomes = space.canonical(sample(space))
    if name == "darts":
        genomes[:5, 0] = space.operations.index("none")
    found, cells = spaces.counts(space, genomes), space.decode(genomes := space.canonical(genomes))
    for row, (number, cell) in itertools.product(range(len(genomes)), enumerate(("normal", "reduction"))):
        pairs = [
            (space.operations[op], int(source), 2 + block)
            for block in range(space.blocks)
            for op, source in zip(cells.ops[row, number, block], cells.inputs[row, number, block], strict=True)
        ]
        live = [(source, reader) for op, source, reader in pairs if op != "none"]
        for operation in space.operations:
            assert found[f"{cell}_{operation}"][row] == [op for op, _, _ in pairs].count(operation)
        assert found[f"{cell}_older"][row] == [source for source, _ in live].count(0)
        assert found[f"{cell}_last"][row] == [source for source, _ in live].count(1)
        edges = [((reader, source), 1) for source, reader in live]
        every = [path for a in (0, 1) for b in range(2 + space.blocks) for path in paths(edges, a, b)]
        assert found[f"{cell}_depth"][row] == max(map(len, every))
        assert found[f"{cell}_outputs"][row] == cells.outputs[row, number].sum()
    for operation in space.operations:
        np.testing.assert_array_equal(found[operation], found[f"normal_{operation}"] + found[f"reduction_{operation}"])


def test_macro_counts_of_a_phase_written_down():
    """Node 2 reads 1, node 3 reads 1 and 2, node 4 nothing and is dropped; then a chain with a skip; then nothing."""
    space = spaces.get("macro", nodes=4)
    genome = space.from_string("macro:4:1110000-1010011-0000000")
    found = {name: int(values[0]) for name, values in spaces.counts(space, genome[None]).items()}
    first = {"nodes_1": 3, "connections_1": 4, "entry_readers_1": 1, "outputs_1": 1, "depth_1": 3}
    second = {"nodes_2": 4, "connections_2": 4, "entry_readers_2": 2, "outputs_2": 2, "depth_2": 4}
    third = {"nodes_3": 0, "connections_3": 0, "entry_readers_3": 1, "outputs_3": 1, "depth_3": 0}
    assert found == first | second | third


def test_isomorphic_macro_wirings_have_equal_counts():
    space = spaces.get("macro", nodes=3)
    every = np.array(list(itertools.product((0, 1), repeat=4)))
    genomes = np.tile(every, (1, 3))
    forms = space.canonical(genomes)
    found = np.stack([*spaces.counts(space, genomes).values()], 1)
    for form in np.unique(forms, axis=0):
        alike = found[(forms == form).all(1)]
        assert (alike == alike[0]).all()


def test_counts_do_not_depend_on_sizes():
    small, large = spaces.get("micro", channels=4, layers=3), spaces.get("micro")
    genomes = sample(large, 6)
    assert dataclasses.asdict(small) != dataclasses.asdict(large)
    for values, same in zip(
        spaces.counts(small, genomes).values(), spaces.counts(large, genomes).values(), strict=True
    ):
        np.testing.assert_array_equal(values, same)
