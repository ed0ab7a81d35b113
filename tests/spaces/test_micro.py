import csv
import itertools

import numpy as np
import pytest

from rwejax import spaces

ZEROS = ["0"] * 40


@pytest.mark.parametrize("measure", ["macs", "params"])
def test_complexity_equals_nsganet(truth, measure):
    with (truth / "nsganet_complexity.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["space"] == "micro"]
    assert len(rows) > 30
    for (channels, layers), group in itertools.groupby(rows, lambda row: (row["channels"], row["layers"])):
        space = spaces.get("micro", channels=int(channels), layers=int(layers))
        group = list(group)
        population = np.stack([space.from_string(row["genome"]) for row in group])
        assert getattr(space, measure)(population).tolist() == [int(row[measure]) for row in group]
        assert [" ".join(map(str, genome)) for genome in population] == [row["genome"] for row in group]


def test_decoding_by_hand():
    """Reduction: block 2 reads block 1, block 5 reads blocks 2 and 4; so 3 and 5 are the output."""
    space = spaces.get("micro")
    normal = "0 0 1 1 " * 5
    cells = space.decode(space.from_string(normal + "3 0 4 1 8 2 7 1 2 0 2 0 5 1 6 1 0 5 1 3")[None])
    assert cells.ops[0, 1].tolist() == [[3, 4], [8, 7], [2, 2], [5, 6], [0, 1]]
    assert cells.inputs[0, 1].tolist() == [[0, 1], [2, 1], [0, 0], [1, 1], [5, 3]]
    assert cells.outputs.tolist() == [[[True] * 5, [False, False, True, False, True]]]
    assert [space.operations[code] for code in cells.ops[0, 1, 1]] == ["conv_7x1_1x7", "sep_conv_7x7"]


def test_canonical_by_hand():
    """The two independent blocks change places, and the one that reads them follows with its branches swapped."""
    space = spaces.get("micro")
    rest = "8 0 8 0 8 0 8 1" + " 0 0 0 0" * 5
    written = space.from_string("4 1 3 0 2 1 1 0 7 2 6 3 " + rest)
    same = space.from_string("1 0 2 1 3 0 4 1 6 2 7 3 " + rest)
    other = space.from_string("1 0 2 1 3 0 4 1 6 3 7 2 " + rest)
    forms = space.canonical(np.stack([written, same, other]))
    assert space.to_string(forms[0]).startswith("micro:1021-3041-6273-8080-8081-0000-")
    assert (forms[0] == forms[1]).all()
    assert (forms[0] != forms[2]).any()


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["9", *ZEROS[1:]], r"integer 1 \(op1 of block 1 of the normal cell\) is '9', not one of 0 to 8"),
        (
            [*ZEROS[:5], "3", *ZEROS[6:]],
            r"integer 6 \(input1 of block 2 of the normal cell\) is '3', not one of 0 to 2",
        ),
        ([*ZEROS[:39], "6"], r"integer 40 \(input2 of block 5 of the reduction cell\) is '6', not one of 0 to 5"),
        ([*ZEROS[:22], "x", *ZEROS[23:]], r"integer 23 \(op2 of block 1 of the reduction cell\) is 'x'"),
        ([*ZEROS[:3], "", *ZEROS[3:]], r"integer 4 \(input2 of block 1 of the normal cell\) is ''"),
        (["-1", *ZEROS[1:]], "integer 1 .* is '-1'"),
        (["00", *ZEROS[1:]], "integer 1 .* is '00'"),
        (ZEROS[:39], "has 39 integers: two cells need 40"),
        ([*ZEROS, "0"], "has 41 integers: two cells need 40"),
    ],
)
def test_bad_text_names_the_place(words, names):
    with pytest.raises(ValueError, match=names):
        spaces.get("micro").from_string(" ".join(words))
