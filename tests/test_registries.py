"""What every registered space promises, a user's among them."""

import csv
import dataclasses
import io
import itertools
import json
import re

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rwejax import data, networks, objectives, spaces
from rwejax.errors import InputError
from rwejax.evaluate import estimators
from tests.networks.rows import chunks
from tests.registered import attempt, every_compiled_space, every_space, numbers, smallest

KEY = jax.random.key(11)

some_examples = settings(deadline=None, max_examples=25)


@st.composite
def populations(draw, name, min_size=0):
    """A space of any size up to its default, and some of its genomes, which nobody can write to."""
    sizes = {option: draw(st.integers(smallest(name)[option], default)) for option, default in numbers(name).items()}
    space = spaces.get(name, **sizes)
    bounds = zip(space.lower.tolist(), space.upper.tolist(), strict=True)
    genome = st.tuples(*(st.integers(lower, upper) for lower, upper in bounds))
    genomes = np.array(draw(st.lists(genome, min_size=min_size, max_size=4)), np.int32).reshape(-1, len(space.lower))
    genomes.flags.writeable = False
    return space, genomes


def sentence(error, *quoted):
    """The message without what it quotes, which is one sentence."""
    message = str(error)
    for text in quoted:
        assert repr(text) in message
        message = message.replace(repr(text), "")
    assert len(message.splitlines()) == 1
    assert not re.search(r"\.(\s|$)", message)
    return re.sub(r"'[^']*'", "", message)


@every_space
def test_a_sample_has_every_value_equally_often(name):
    space, n = spaces.get(name), 2000
    assert space.name == name
    assert space.lower.dtype == space.upper.dtype == np.int32
    population = space.sample(KEY, n)
    assert isinstance(population, jax.Array)
    assert population.dtype == jnp.int32
    assert population.shape == (n, *space.lower.shape) == (n, *space.upper.shape)
    for values, lower, upper in zip(np.asarray(population).T, space.lower, space.upper, strict=True):
        found, counts = np.unique(values, return_counts=True)
        assert found.tolist() == list(range(lower, upper + 1))
        expected = n / len(counts)
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


@every_space
def test_a_key_decides_the_sample(name):
    space = spaces.get(name)
    population = np.asarray(space.sample(KEY, 50))
    assert np.array_equal(population, space.sample(KEY, 50))
    assert np.array_equal(population, spaces.get(name).sample(KEY, 50))
    for other in jax.random.split(KEY):
        assert (population != np.asarray(space.sample(other, 50))).any(0).all()
    assert len(np.unique(population, axis=0)) > 40


@every_space
@some_examples
@given(data=st.data())
def test_text_round_trip(name, data):
    space, genomes = data.draw(populations(name))
    texts = [space.to_string(genome) for genome in genomes]
    assert len(set(texts)) == len(np.unique(genomes, axis=0))
    for text, genome in zip(texts, genomes, strict=True):
        read = space.from_string(text)
        assert isinstance(read, np.ndarray)
        assert read.dtype == np.int32
        assert read.shape == genome.shape
        assert (read == genome).all()
        assert space.to_string(read) == text


def refusal(space, text):
    """The sentence that refuses a text; None for one that is read, whose genes then stand in it digit by digit."""
    read = attempt(space.from_string, text)
    if not isinstance(read, ValueError):
        assert (space.from_string(space.to_string(read)) == read).all()
        return None
    assert isinstance(read, InputError)
    said = sentence(read, text)
    assert re.match(rf"{space.name} .*\d", said)
    return said


@every_space
@some_examples
@given(data=st.data())
def test_a_changed_text_is_another_genome_or_one_sentence(name, data):
    space, genomes = data.draw(populations(name, min_size=1))
    text = space.to_string(genomes[0])
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(begin + 3, len(text))))
    characters = st.sampled_from(sorted(set(text))) | st.characters()
    changed = text[:begin] + data.draw(st.text(characters, max_size=3)) + text[end:]
    refusal(space, changed)


@every_space
def test_no_reader_takes_a_text_for_a_number(name, tmp_path):
    """Neither readers of tables nor of JSON or YAML do, and it is one line without spaces at its ends."""
    space = spaces.get(name)
    genomes = np.concatenate([np.asarray(space.sample(KEY, 50)), [space.lower, space.upper]])
    texts = [space.to_string(genome) for genome in genomes]
    path = tmp_path / "texts.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["architecture", "n"], *((text, number) for number, text in enumerate(texts))])
    table = pd.read_csv(path)
    assert (table["architecture"].tolist(), table["n"].tolist()) == (texts, list(range(len(texts))))
    lines = "".join(json.dumps({"architecture": text}) + "\n" for text in texts)
    assert pd.read_json(io.StringIO(lines), lines=True)["architecture"].tolist() == texts
    assert yaml.safe_load(yaml.safe_dump(texts)) == texts
    for text in texts:
        assert text == " ".join(text.split())
        # A spreadsheet takes what begins with one of these for a number, a date or a formula; YAML 1.2 for a number.
        assert text[0] not in "+-=@.0123456789"
        for read in (float, complex, lambda text: int(text, 0)):
            assert isinstance(attempt(read, text), ValueError)
        if name not in ("darts", "nasbench201"):  # whose texts are others', with bars or brackets
            assert yaml.safe_load(f"architecture: {text}") == {"architecture": text}
            assert re.fullmatch("[a-z0-9_:-]+", text)  # no shell has it quoted


@every_space
def test_a_text_of_another_size_or_space_is_refused_with_the_form(name):
    space = spaces.get(name)
    text = space.to_string(space.lower)
    digits = "".join(re.findall(r"\d", text.rpartition(":")[2]))
    bad = {digits + "0", digits[1:], "", "0", "hello", "macro:9:0-0-0", f"{name}:", "[]", "[[0], [1]]", "Genotype()"}
    others = [spaces.get(each) for each in spaces.names() if each != name]
    bad |= {other.to_string(other.lower) for other in others}
    for each in bad:
        with pytest.raises(InputError, match=f"^{name} genome .* the form is ") as caught:
            space.from_string(each)
        sentence(caught.value)


@every_space
def test_a_bad_text_names_the_place(name):
    """The genes are all alike, so what the sentence quotes cannot tell their places apart."""
    space = spaces.get(name)
    text = space.to_string(space.lower)
    refusals = set()
    for place in range(len(text) + 1):
        before, after = text[:place], text[place:]
        refusals.add(refusal(space, before + "?" + after))
        for changed in (before + after[1:], before + after[:1] + after):
            refusal(space, changed)
    assert None not in refusals
    assert len(refusals) >= len(space.lower)


@every_space
@some_examples
@given(data=st.data())
def test_canonical_is_a_genome_that_costs_no_more(name, data):
    space, genomes = data.draw(populations(name))
    form = space.canonical(genomes)
    assert isinstance(form, np.ndarray)
    assert not np.shares_memory(form, genomes)
    assert form.dtype == np.int32
    assert form.shape == genomes.shape
    assert (space.lower <= form).all()
    assert (form <= space.upper).all()
    assert (space.canonical(form) == form).all()
    assert (space.macs(form) <= space.macs(genomes)).all()
    assert (space.params(form) <= space.params(genomes)).all()


@every_space
@some_examples
@given(data=st.data())
def test_what_a_genome_costs_is_its_own(name, data):
    space, genomes = data.draw(populations(name))
    for measure in (space.macs, space.params):
        found = measure(genomes)
        assert isinstance(found, np.ndarray)
        assert found.dtype == np.int64
        assert found.shape == (len(genomes),)
        assert (found > 0).all()
        assert found.tolist() == [cost for genome in genomes for cost in measure(genome[None])]
    forms = [form for genome in genomes for form in space.canonical(genome[None])]
    assert np.array_equal(space.canonical(genomes), np.reshape(forms, genomes.shape))


@every_space
def test_numpy_and_jax_agree(name):
    space = spaces.get(name)
    population = space.sample(KEY, 300)
    genomes = np.asarray(population)
    form = space.canonical(genomes)
    assert (space.canonical(form) == form).all()
    for canonical in (space.canonical, jax.jit(space.canonical)):
        found = canonical(population)
        assert isinstance(found, jax.Array)
        assert found.dtype == jnp.int32
        assert (np.asarray(found) == form).all()
    assert (space.macs(population) == space.macs(genomes)).all()
    assert (space.params(population) == space.params(genomes)).all()
    assert space.to_string(population[0]) == space.to_string(genomes[0])


@every_space
def test_no_genome_gives_no_rows(name):
    space = spaces.get(name)
    nobody = np.zeros((0, len(space.lower)), np.int32)
    assert space.sample(KEY, 0).shape == nobody.shape
    assert space.canonical(nobody).shape == jax.eval_shape(space.canonical, nobody).shape == nobody.shape
    assert space.macs(nobody).shape == space.params(nobody).shape == (0,)
    network = networks.network(space)
    program, rows = networks.lower(space, network, nobody, 3, (3, 2))
    assert rows.shape == (0,)
    assert not any(group.chunks for group in program.rows.values())
    leaves = jax.tree.leaves((program, networks.empty_program(network, 3, (3, 2))))
    assert all(map(np.array_equal, leaves[: len(leaves) // 2], leaves[len(leaves) // 2 :]))


def facts(space):
    """What a space says of itself and of some genomes."""
    genomes = np.asarray(space.sample(KEY, 30))
    arrays = (space.lower, space.upper, genomes, space.canonical(genomes), space.macs(genomes), space.params(genomes))
    return [x.tolist() for x in arrays], [space.to_string(genome) for genome in genomes]


@every_space
def test_spaces_of_other_sizes_share_nothing(name):
    space, small = spaces.get(name), spaces.get(name, **smallest(name))
    expected, of_small = facts(space), facts(small)
    assert np.mean(of_small[0][-2:]) < np.mean(expected[0][-2:])
    # What was handed out is the caller's.
    for array in (space.lower, space.upper, space.canonical(np.asarray(space.sample(KEY, 30)))):
        array += 1
    assert facts(space) == facts(spaces.get(name)) == expected
    assert facts(small) == of_small


@every_space
def test_costs_follow_the_images_and_the_classes(name):
    usual = spaces.get(name)
    height, width, channels = usual.input_shape
    population = np.asarray(usual.sample(KEY, 20))

    def costs(**options):
        space = spaces.get(name, **options)
        assert {option: getattr(space, option) for option in options} == options
        return np.array([space.macs(population), space.params(population)])

    here = costs()
    assert (here == costs(input_shape=usual.input_shape, classes=usual.classes)).all()
    # A class has a weight for each feature, and a bias, which is no multiply-add.
    more = costs(classes=usual.classes + 7) - here
    assert (more[0] > 0).all()
    assert (more[1] - more[0] == 7).all()
    # Each channel of an image adds as much as the one before.
    deeper = [costs(input_shape=(height, width, channels + extra)) - here for extra in (1, 3)]
    assert (deeper[0] > 0).all()
    assert (deeper[1] == 3 * deeper[0]).all()
    # Nearly all is convolutions, which work at every pixel; only a map without padding is not exactly twice as high.
    for shape in ((2 * height, width, channels), (height, 2 * width, channels)):
        macs, params = costs(input_shape=shape) / here
        np.testing.assert_allclose(macs, 2, atol=0.15)
        assert (params == 1).all()


@every_space
def test_an_image_size_is_refused_or_leaves_maps(name):
    refused = 0
    for height, width in itertools.product(range(13), repeat=2):
        space = attempt(spaces.get, name, input_shape=(height, width, 3))
        if isinstance(space, InputError):
            if height and width:
                assert f"{height} x {width} pixels" in sentence(space)
                assert re.search("image.size", str(space))
            else:
                assert " of input_shape is 0: give 1 to " in sentence(space)
            refused += 1
        else:
            assert min(map(min, networks.network(space).buffers.values())) > 0
    # A side of no or of one pixel can never be halved.
    assert 13**2 - 11**2 <= refused < 13**2


@every_space
def test_bad_options_are_one_sentence(name):
    known = ", ".join(field.name for field in dataclasses.fields(spaces.get(name)))
    for option in numbers(name):
        for value in (-1, 0):
            with pytest.raises(InputError, match=f"^{option} is {value}: ") as caught:
                spaces.get(name, **{option: value})
            sentence(caught.value)
    with pytest.raises(InputError, match=f"'{name}' has no option 'flavour': it takes {known}$") as caught:
        spaces.get(name, flavour=1)
    sentence(caught.value)


def test_an_unknown_space_is_one_sentence():
    with pytest.raises(InputError, match=f"space 'makro' is unknown: choose one of {', '.join(spaces.names())}$"):
        spaces.get("makro")


def lowered(space, network, genomes, sizes, known, places=None):
    """For each genome a number that stands for its network, written down from the images on; `known` has them all."""
    capacity = 40
    program, rows = networks.lower(space, network, genomes, capacity, sizes, places)
    assert rows.shape == (len(genomes),)
    empty = networks.empty_program(network, capacity, sizes)
    assert jax.tree.map(np.shape, program) == jax.tree.map(np.shape, empty)
    maps = {("images", 0): -1}
    for group, kind, held in chunks(program, network, sizes):
        written = {}
        for slot, place, reads in held:
            sources = [(block, maps.get((group.source, source))) for block, source in reads]
            written[group.target, place] = known.setdefault((group.name, kind, slot, *sources), len(known))
            assert places is None or place < places[group.target]
        maps |= written
    return [None if row == networks.ABSENT else maps["features", row] for row in rows.tolist()]


@every_compiled_space
def test_rows_of_genomes_in_pieces_are_the_same_networks(name):
    space = spaces.get(name)
    network = networks.network(space)
    sampled = np.asarray(space.sample(KEY, 8))
    genomes = np.concatenate([sampled, [space.lower, space.upper], sampled[:1]])
    genomes.flags.writeable = False
    known = {}
    expected = lowered(space, network, genomes, (1,), known)
    assert expected[0] == expected[-1]
    assert len(set(expected)) == len(np.unique(space.canonical(genomes), axis=0))
    for size, sizes in ((len(genomes), (1,)), (len(genomes), (3,)), (4, (12, 3)), (1, (2,))):
        pieces = [genomes[start : start + size] for start in range(0, len(genomes), size)]
        for places in (None, networks.buffer_sizes(space, network, size, sizes)):
            found = [row for piece in pieces for row in lowered(space, network, piece, sizes, known, places)]
            assert found == expected


@every_compiled_space
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 40),
    sizes=st.lists(st.integers(1, 16), min_size=1, max_size=3, unique=True).map(lambda sizes: sorted(sizes)[::-1]),
)
@settings(max_examples=8, deadline=None)
def test_maps_that_reuse_buffer_slots_are_the_same_networks(name, seed, n, sizes):
    space = spaces.get(name, **smallest(name))
    network = networks.network(space)
    genomes = np.random.default_rng(seed).integers(space.lower, space.upper + 1, (n, len(space.lower)))
    known = {}
    unlimited = dict.fromkeys(network.buffers, np.inf)
    assert lowered(space, network, genomes, sizes, known, unlimited) == lowered(space, network, genomes, (1,), known)
    for genome in genomes[:3]:  # fits
        lowered(space, network, genome[None], sizes, known, networks.buffer_sizes(space, network, 1, sizes))


@pytest.mark.parametrize(("name", "share"), [("macro", 0.7), ("micro", 0.5), ("nasbench201", 0.1)])
def test_maps_need_less_room_than_rows(name, share):
    space = spaces.get(name)
    network, genomes = networks.network(space), np.asarray(space.sample(KEY, 40))
    places = networks.buffer_sizes(space, network, 40, (1,))
    program, _ = networks.lower(space, network, genomes, 40, (1,), places)
    rows = sum(
        int(program.rows[group.name].chunks) * np.prod(network.buffers[group.target]) for group in network.groups
    )
    assert sum(places[buffer] * np.prod(shape) for buffer, shape in network.buffers.items()) < share * rows


@pytest.fixture(scope="module")
def dataset():
    return data.load("digits", train=20, validation=10, image_size=32)


@every_space
@pytest.mark.parametrize("measure", objectives.COMPLEXITY)
def test_the_larger_network_scores_higher(name, measure, dataset):
    """By the estimators that look at the size alone, of the network that a genome stands for."""
    space = spaces.get(name, input_shape=dataset.image_shape, classes=dataset.classes)
    estimate = estimators.get(measure, space, dataset)
    population = space.sample(KEY, 30)
    form = space.canonical(np.asarray(population))
    scores = estimate(KEY, population)
    assert isinstance(scores, np.ndarray)
    assert scores.dtype == float
    assert (scores == getattr(space, measure)(form)).all()
    assert len(np.unique(scores)) > 1
    assert (estimate(jax.random.key(12), form[::-1]) == scores[::-1]).all()
