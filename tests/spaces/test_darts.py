import csv

import numpy as np
import pytest

from rwejax import spaces
from rwejax.errors import InputError

NORMAL = (
    "('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)"
)
REDUCE = (
    "('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), "
    "('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)"
)
DARTS_V2 = f"Genotype(normal=[{NORMAL}], normal_concat=range(2, 6), reduce=[{REDUCE}], reduce_concat=range(2, 6))"


def test_params_equal_the_published_table(truth):
    with (truth / "darts_trained.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 100
    space = spaces.get("darts")
    population = np.stack([space.from_string(row["architecture"]) for row in rows])
    assert (population > space.upper).any(), "no row holds a none"
    assert (space.params(population) / 1e6).tolist() == [float(row["params_c36_l20"]) for row in rows]


def test_params_of_darts_v2():
    space = spaces.get("darts", channels=36, layers=20)
    assert space.params(space.from_string(DARTS_V2)[None]).tolist() == [3_349_342]


@pytest.mark.parametrize("table", ["darts_trained.csv", "nasbench301_surrogate.csv"])
def test_text_round_trip_of_published_genotypes(truth, table):
    with (truth / table).open() as file:
        texts = [row["architecture"] for row in csv.DictReader(file)]
    assert len(texts) > 100
    space = spaces.get("darts")
    assert [space.to_string(space.from_string(text)) for text in texts] == texts


def test_decoding_of_darts_v2():
    space = spaces.get("darts")
    cells = space.decode(space.from_string(DARTS_V2)[None])
    names = [[space.operations[code] for code in block] for block in cells.ops[0, 0]]
    assert names[:2] == [["sep_conv_3x3", "sep_conv_3x3"]] * 2
    assert names[2:] == [["sep_conv_3x3", "skip_connect"], ["skip_connect", "dil_conv_3x3"]]
    assert cells.inputs.tolist() == [[[[0, 1], [0, 1], [1, 0], [0, 2]], [[0, 1], [2, 1], [0, 2], [2, 1]]]]
    assert cells.outputs.shape == (1, 2, 4)
    assert cells.outputs.all()


def test_pairs_count_all_ordered_pairs_of_different_inputs():
    space = spaces.get("darts")
    for block, count in enumerate((2, 6, 12, 20)):
        population = np.zeros((count, 24), np.int32)
        population[:, 3 * block + 2] = np.arange(count)
        pairs = space.decode(population).inputs[:, 0, block].tolist()
        assert pairs == [[i, j] for i in range(2 + block) for j in range(2 + block) if i != j]


def test_none_reads_nothing_and_costs_nothing():
    """A block may come before one that it reads through none alone; inputs of none become the lowest that are free."""
    space = spaces.get("darts")
    rest = "('sep_conv_5x5', 1), ('sep_conv_5x5', 0), ('dil_conv_5x5', 1), ('dil_conv_5x5', 0)"
    first = f"('sep_conv_3x3', 0), ('none', 1), ('none', 2), ('max_pool_3x3', 1), {rest}"
    other = f"('max_pool_3x3', 1), ('none', 0), ('none', 2), ('sep_conv_3x3', 0), {rest}"
    genomes = np.stack([space.from_string(DARTS_V2.replace(NORMAL, cell)) for cell in (first, other)])
    forms = space.canonical(genomes)
    assert (forms[0] == forms[1]).all()
    assert space.to_string(forms[0]).startswith(
        "Genotype(normal=[('max_pool_3x3', 1), ('none', 0), ('sep_conv_3x3', 0), ('none', 1), "
    )
    lacking = space.from_string(DARTS_V2.replace(NORMAL, first.replace("('sep_conv_3x3', 0)", "('none', 0)")))
    pooling = space.from_string(DARTS_V2.replace(NORMAL, first.replace("('sep_conv_3x3', 0)", "('avg_pool_3x3', 0)")))
    assert space.params(lacking[None]) == space.params(pooling[None]) < space.params(forms[:1])
    assert space.macs(lacking[None]) == space.macs(pooling[None]) < space.macs(forms[:1])


@pytest.mark.parametrize(
    ("good", "bad", "names"),
    [
        ("Genotype(", "genotype(", "calls 'genotype' and not Genotype; the form is Genotype"),
        (
            "'skip_connect', 0",
            "'skip', 0",
            "branch 2 of block 3 of the normal cell has operation 'skip', not one of max",
        ),
        (
            "'sep_conv_3x3', 0",
            "'sep_conv_3x3', 2",
            "branch 1 of block 1 of the normal cell has input '2', not one of 0 to 1",
        ),
        ("'sep_conv_3x3', 0", "'sep_conv_3x3', 0.0", "branch 1 of block 1 of the normal cell has input '0.0'"),
        (
            "'sep_conv_3x3', 1",
            "'sep_conv_3x3', 0",
            "branch 2 of block 1 of the normal cell has input 0, as branch 1 has",
        ),
        ("'max_pool_3x3', 0", "'max_pool_3x3', 01", r"no Python text at character \d+ \(leading zeros"),
        ("('max_pool_3x3', 0)", "'max_pool_3x3'", "branch 1 of block 1 of the reduction cell is not"),
        ("('max_pool_3x3', 0)", "max_pool_3x3", "has the name 'max_pool_3x3', whose definition is elsewhere"),
        (", ('dil_conv_3x3', 2)", "", "normal cell has 7 operations, and 4 blocks have 8"),
        (
            "normal_concat=range(2, 6)",
            "normal_concat=range(2, 5)",
            r"normal_concat '\(2, 3, 4\)', where .* 4, 5\]",
        ),
        ("reduce_concat=range(2, 6)", "reduce_concat=[2, 3, 3, 4, 5]", "has reduce_concat"),
        ("reduce_concat=range(2, 6)", "reduce_concat=[]", "has reduce_concat"),
        ("reduce_concat=range(2, 6)", "reduce_concat=range(10**9)", "neither a number"),
        ("reduce_concat=range(2, 6)", "reduce_concat=range(999999999)", "a range beyond 1000"),
        (", reduce_concat=range(2, 6)", "", "has no reduce_concat"),
        ("reduce_concat=", "redux=", "has no reduce_concat"),
        ("reduce_concat=range(2, 6))", "reduce_concat=range(2, 6)", "no Python text at character"),
        ("reduce_concat=range(2, 6))", "reduce_concat=range(2, 6))?", "no Python text at character"),
        ("'sep_conv_3x3', 0", "__import__('os').getcwd(), 0", "neither a number|operation"),
    ],
)
def test_bad_text_names_the_place(good, bad, names):
    assert good in DARTS_V2
    with pytest.raises(InputError, match=names):
        spaces.get("darts").from_string(DARTS_V2.replace(good, bad, 1))
