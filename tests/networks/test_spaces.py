"""Every space but macro on the executor, against its network written down plainly; macro has its own module."""

import dataclasses
import itertools
from collections import Counter
from typing import Any

import jax
import numpy as np
import pytest

from rwejax import data, networks, spaces
from rwejax.evaluate import RandomWeightEvaluator
from tests.networks import reference_cells
from tests.networks.genomes import population
from tests.networks.references import REFERENCES
from tests.networks.rows import chunks
from tests.registered import compiled

CALIBRATION, TRAIN, VALIDATION = 32, 36, 12
KEY = jax.random.key(7)

# Cell spaces are slow to compile, so each has one number of cells: with 3 the two reductions follow each other, with 8
# every stage has two cells or more. Maps of 12 pixels become 3 wide.
OPTIONS = {"micro": {"layers": 3}, "darts": {"layers": 8}, "nasbench201": {"cells": 2}, "nasbench_macro": {}}
IMAGE_SIZE = 12


def is_dead(space, genome):
    """Whether no path leads from the image to the features."""
    if space.name == "nasbench201":
        paths = [(3,), (0, 4), (1, 5), (0, 2, 5)]  # edges
        return not any(all(genome[edge] for edge in path) for path in paths)
    if space.name != "darts":
        return False
    alive = [True, True]
    for c in range(space.layers):
        blocks, _ = reference_cells.decode("darts", genome)[c in (space.layers // 3, 2 * space.layers // 3)]
        inputs = alive[-2:]
        for block in blocks:
            inputs = [*inputs, any(op != "none" and inputs[source] for op, source in block)]
        alive.append(any(inputs[2:]))
    return not alive[-1]


@dataclasses.dataclass
class Case:
    space: Any
    dataset: Any
    genomes: np.ndarray
    evaluator: RandomWeightEvaluator
    found: np.ndarray
    expected: dict[bytes, np.ndarray] = dataclasses.field(default_factory=dict)

    def another(self, **options):
        evaluator = make_evaluator(self.space, self.dataset, **options)
        evaluator.forward._initialise = self.evaluator.forward._initialise  # compiled already
        return evaluator

    def reference(self, genome):
        """The network written down plainly, computed once a genome."""
        if genome.tobytes() not in self.expected:
            images = np.concatenate([self.dataset.train_images, self.dataset.validation_images])
            kernels = self.evaluator.forward.kernels(KEY)
            features = REFERENCES[self.space.name].features(self.space, genome, kernels, images, CALIBRATION)
            self.expected[genome.tobytes()] = features
        return self.expected[genome.tobytes()]


def make_evaluator(space, dataset, **options):
    return RandomWeightEvaluator(space, dataset, **{"images_per_batch": 6, **options}, calibration_images=CALIBRATION)


@pytest.fixture(scope="module", params=compiled(OPTIONS))
def case(request):
    """A space, and the features of its population in one program, on two devices."""
    dataset = data.load("digits", train=TRAIN, validation=VALIDATION, image_size=IMAGE_SIZE)
    space = spaces.get(request.param, channels=4, input_shape=dataset.image_shape, **OPTIONS[request.param])
    evaluator, genomes = make_evaluator(space, dataset), population(space)
    return Case(space, dataset, genomes, evaluator, evaluator.features(KEY, genomes))


def check_against_reference(case, genomes, found):
    for genome, ours in zip(genomes, found, strict=True):
        expected = case.reference(genome)
        # Of order 1, so that the tolerance means something.
        assert (np.abs(expected).max() > 0.1) == (not is_dead(case.space, genome))
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-4, err_msg=case.space.to_string(genome))


def test_features_equal_the_plain_reference(case):
    check_against_reference(case, case.space.canonical(case.genomes), case.found)


def test_genomes_that_are_not_canonical_run_as_they_are_written(case, monkeypatch):
    """Lowering need not rely on an order of blocks or on pruned cells."""
    monkeypatch.setattr(type(case.space), "canonical", lambda self, genomes: genomes)
    check_against_reference(case, case.genomes, case.evaluator.features(KEY, case.genomes))


def test_the_population_has_every_operation_at_every_stride(case):
    """What the comparisons with the reference are worth."""
    seen = Counter()
    for genome in case.space.canonical(case.genomes):
        if case.space.name in ("micro", "darts"):
            for cell, (blocks, _) in enumerate(reference_cells.decode(case.space.name, genome)):
                seen.update((op, 1 + (cell == 1 and source < 2)) for block in blocks for op, source in block)
        elif case.space.name == "nasbench201":
            seen.update((case.space.operations[gene], 1) for gene in genome)
        else:
            seen.update((gene, 1 + (place in (0, 2, 5))) for place, gene in enumerate(genome))
    operations = getattr(case.space, "operations", range(3))
    strides = (1,) if case.space.name == "nasbench201" else (1, 2)
    assert set(seen) == set(itertools.product(operations, strides))


def test_programs_of_other_genomes_change_no_bit(case):
    """Each genome alone, and in threes, in the same compiled pass."""
    for size in (1, 3):
        pieces = [case.genomes[start : start + size] for start in range(0, len(case.genomes), size)]
        assert (np.concatenate([case.evaluator.features(KEY, piece) for piece in pieces]) == case.found).all()


@pytest.mark.parametrize("case", ["nasbench201"], indirect=True)
def test_genomes_per_program_change_no_bit(case):
    pieces = case.another(genomes_per_program=4).features(KEY, case.genomes)
    assert (pieces == case.found).all()


@pytest.mark.parametrize("case", compiled(["nasbench201", "nasbench_macro"]), indirect=True)
def test_another_way_through_the_executor_changes_last_bits_only(case):
    """Fewer genomes at once, other batches of images, one device, and the accelerator's chunks of rows under vmap.

    The kinds of rows of `darts` are among those of `micro`.
    """
    other = case.another(genomes_per_program=5, images_per_batch=5, devices=jax.devices()[:1])
    other.chunk_sizes = (5, 2)
    np.testing.assert_allclose(other.features(KEY, case.genomes), case.found, rtol=0, atol=1e-5)


def test_another_population_compiles_nothing(case):
    compilations = []

    def listen(event, duration, **kwargs):
        if "backend_compile" in event:
            compilations.append(event)

    others = population(case.space, seed=4, n=20)
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        jax.jit(lambda x: x * 4.25)(1.5)
        assert len(compilations) == 1
        found = case.evaluator.features(jax.random.key(8), others)
        assert len(compilations) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    assert np.isfinite(found).all()


def rows_of(program, network):
    """For each group the rows in words: kind, slot, and what is read from where among the possible inputs."""
    found = {group.name: [] for group in network.groups}
    for group, kind, rows in chunks(program, network):
        found[group.name] += [(kind, slot, *reads) for slot, _, reads in rows]
    return found


def test_equal_rows_are_computed_once(case):
    network = networks.network(case.space)
    program, features = networks.lower(case.space, network, case.genomes, len(case.genomes))
    together = rows_of(program, network)
    for name, rows in together.items():
        weighted = [row for row in rows if row[0] != "sum"]  # equal sums may stand at different nodes
        assert len(set(weighted)) == len(weighted), name
    distinct = np.unique(case.space.canonical(case.genomes), axis=0)
    assert int(program.features) == sum(not is_dead(case.space, genome) for genome in distinct)
    assert ((features == networks.ABSENT) == [is_dead(case.space, genome) for genome in case.genomes]).all()
    assert features[0] == features[-1]
    assert len(together[network.groups[0].name]) == 1
    apart = 0
    for genome in case.genomes:
        one, _ = networks.lower(case.space, network, genome[None], 1)  # raises if it does not fit
        apart += sum(map(len, rows_of(one, network).values()))
    assert sum(map(len, together.values())) < apart


def test_a_dead_network_has_features_of_zero(case):
    for genome, features in zip(case.genomes, case.found, strict=True):
        assert features.any() != is_dead(case.space, genome)
