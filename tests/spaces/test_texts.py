"""Texts that earlier versions and other tools write."""

import json
import re

import numpy as np
import pytest

from rwejax import spaces
from rwejax.errors import InputError
from rwejax.spaces import literals

# Published cells as operation and input, two pairs a block, and the nodes that are concatenated. NASNet-A: Zoph et al.,
# CVPR 2018. AmoebaNet-A: Real et al., AAAI 2019. DARTS: Liu et al., ICLR 2019. ENAS: Pham et al., ICML 2018. NSGA-Net:
# Lu et al., GECCO 2019.
SEP3, SEP5, SEP7, DIL3, DIL5 = "sep_conv_3x3", "sep_conv_5x5", "sep_conv_7x7", "dil_conv_3x3", "dil_conv_5x5"
MAX, AVG, SKIP, BENT = "max_pool_3x3", "avg_pool_3x3", "skip_connect", "conv_7x1_1x7"
FIVE_BLOCKS = {
    "NASNet": (
        [(SEP5, 1), (SEP3, 0), (SEP5, 0), (SEP3, 0), (AVG, 1), (SKIP, 0), (AVG, 0), (AVG, 0), (SEP3, 1), (SKIP, 1)],
        [2, 3, 4, 5, 6],
        [(SEP5, 1), (SEP7, 0), (MAX, 1), (SEP7, 0), (AVG, 1), (SEP5, 0), (SKIP, 3), (AVG, 2), (SEP3, 2), (MAX, 1)],
        [4, 5, 6],
    ),
    "AmoebaNet": (
        [(AVG, 0), (MAX, 1), (SEP3, 0), (SEP5, 2), (SEP3, 0), (AVG, 3), (SEP3, 1), (SKIP, 1), (SKIP, 0), (AVG, 1)],
        [4, 5, 6],
        [(AVG, 0), (SEP3, 1), (MAX, 0), (SEP7, 2), (SEP7, 0), (AVG, 1), (MAX, 0), (MAX, 1), (BENT, 0), (SEP3, 5)],
        [3, 4, 6],
    ),
    "ENAS": (
        [(SEP3, 1), (SKIP, 1), (SEP5, 1), (SKIP, 0), (AVG, 0), (SEP3, 1), (SEP3, 0), (AVG, 0), (SEP5, 1), (AVG, 0)],
        [2, 3, 4, 5, 6],
        [(SEP5, 0), (AVG, 1), (SEP3, 1), (AVG, 1), (AVG, 1), (SEP3, 1), (SEP5, 4), (AVG, 1), (SEP3, 5), (SEP5, 0)],
        [2, 3, 6],
    ),
    "NSGANet": (
        [(SKIP, 0), (MAX, 0), (DIL5, 0), (MAX, 0), (DIL5, 1), (SEP3, 3), (MAX, 1), (SEP5, 3), (SEP3, 1), (SEP3, 0)],
        [2, 4, 5, 6],
        [(AVG, 0), (SEP3, 1), (DIL3, 1), (MAX, 0), (SKIP, 2), (DIL5, 1), (SKIP, 2), (AVG, 1), (DIL5, 1), (DIL3, 1)],
        [3, 4, 5, 6],
    ),
}
FOUR_BLOCKS = {
    "DARTS_V1": (
        [(SEP3, 1), (SEP3, 0), (SKIP, 0), (SEP3, 1), (SKIP, 0), (SEP3, 1), (SEP3, 0), (SKIP, 2)],
        [2, 3, 4, 5],
        [(MAX, 0), (MAX, 1), (SKIP, 2), (MAX, 0), (MAX, 0), (SKIP, 2), (SKIP, 2), (AVG, 0)],
        [2, 3, 4, 5],
    ),
    "DARTS_V2": (
        [(SEP3, 0), (SEP3, 1), (SEP3, 0), (SEP3, 1), (SEP3, 1), (SKIP, 0), (SKIP, 0), (DIL3, 2)],
        [2, 3, 4, 5],
        [(MAX, 0), (MAX, 1), (SKIP, 2), (MAX, 1), (MAX, 0), (SKIP, 2), (SKIP, 2), (MAX, 1)],
        [2, 3, 4, 5],
    ),
}
FIELDS = ("normal", "normal_concat", "reduce", "reduce_concat")


def plain(fields):
    return f"Genotype({', '.join(f'{name}={field!r}' for name, field in zip(FIELDS, fields, strict=True))})"


def over_lines(fields):
    lines = [
        f"    {name} = [\n        " + ",\n        ".join(map(repr, field))
        for name, field in zip(FIELDS, fields, strict=True)
    ]
    return "Genotype(\n" + ",\n    ],\n".join(lines) + ",\n    ],\n)"


WRITINGS = {
    "one line": plain,
    "double quotes": lambda fields: plain(fields).replace("'", '"'),
    "lines": over_lines,
    "a name": lambda fields: f"FOUND = {over_lines(fields)}\n",
    "a module before": lambda fields: "  genotypes." + plain(fields),
    "another order": lambda fields: (
        f"Genotype(reduce={fields[2]}, reduce_concat={fields[3]}, normal={fields[0]}, normal_concat={fields[1]})"
    ),
    "positions": lambda fields: f"Genotype({', '.join(map(repr, fields))})",
    "tuples": lambda fields: plain([tuple(field) for field in fields]),
    "json": lambda fields: json.dumps(dict(zip(FIELDS, fields, strict=True))),
    "a file": lambda fields: (
        "from collections import namedtuple\n\nGenotype = namedtuple('Genotype', 'normal')\n"
        f"PRIMITIVES = ['none', 'skip_connect']\n\nONE = {over_lines(fields)}\n\nALIAS = ONE\n"
    ),
    "the order of channels": lambda fields: plain([fields[0], fields[1][::-1], *fields[2:]]),
}


@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize(("name", "cells"), [("micro", FIVE_BLOCKS), ("darts", FOUR_BLOCKS)])
def test_published_cells_are_read_however_they_are_written(name, cells, writing):
    space = spaces.get(name)
    for fields in cells.values():
        decoded = space.decode(space.from_string(WRITINGS[writing](fields))[None])
        for number in (0, 1):
            branches = list(zip(decoded.ops[0, number].flat, decoded.inputs[0, number].flat, strict=True))
            assert [(space.operations[op], source) for op, source in branches] == fields[2 * number]
            assert (2 + np.flatnonzero(decoded.outputs[0, number])).tolist() == fields[2 * number + 1]


def test_a_file_of_several_genotypes_names_them():
    file = "\n".join(f"{name} = {over_lines(fields)}" for name, fields in {**FIVE_BLOCKS, **FOUR_BLOCKS}.items())
    for name in ("micro", "darts"):
        with pytest.raises(InputError, match="6 genotypes, NASNet, AmoebaNet, ENAS, NSGANet, DARTS_V1, DARTS_V2: give"):
            spaces.get(name).from_string(file)


def test_cells_of_the_other_space_are_refused():
    with pytest.raises(InputError, match="normal cell has 8 operations, and 5 blocks have 10"):
        spaces.get("micro").from_string(plain(FOUR_BLOCKS["DARTS_V2"]))
    with pytest.raises(InputError, match="normal cell has 10 operations, and 4 blocks have 8"):
        spaces.get("darts").from_string(plain(FIVE_BLOCKS["NASNet"]))


def test_micro_concatenates_what_no_block_reads():
    normal, concat, *reduction = FIVE_BLOCKS["AmoebaNet"]
    for other in ([2, 3, 4, 5, 6], [4, 5], [4, 5, 6, 6], range(4, 7), None):
        text = plain([normal, other, *reduction])
        if isinstance(other, range):
            spaces.get("micro").from_string(text)
        else:
            with pytest.raises(InputError, match=r"normal_concat .* where the space concatenates \[4, 5, 6\]|neither"):
                spaces.get("micro").from_string(text)
    assert concat == [4, 5, 6]


@pytest.mark.parametrize(("alias", "name"), [("identity", SKIP), ("separable_5x5_2", SEP5), ("conv_1x7_7x1", BENT)])
def test_other_names_of_the_same_operation(alias, name):
    space = spaces.get("micro")
    text = plain(FIVE_BLOCKS["AmoebaNet"])
    assert (space.from_string(text.replace(name, alias)) == space.from_string(text)).all()
    with pytest.raises(InputError, match="branch 1 of block 1 of the normal cell has operation 'conv_1x1', not one of"):
        space.from_string(text.replace(AVG, "conv_1x1", 1))


NSGANET_MACRO = [
    [[1], [0, 0], [0, 1, 0], [0, 1, 1, 1], [1, 0, 0, 1, 1], [0]],
    [[0], [0, 0], [0, 1, 0], [0, 1, 0, 1], [1, 1, 1, 1, 1], [0]],
    [[0], [0, 1], [1, 0, 1], [1, 0, 1, 1], [1, 0, 0, 1, 1], [0]],
]
MACRO_TEXT = "macro:6:1000100111100110-0000100101111110-0011011011100110"


def test_every_writing_of_a_macro_genome():
    space = spaces.get("macro", nodes=6)
    bits = re.sub("[^01]", "", MACRO_TEXT[8:])
    phases = [bits[start : start + 16] for start in (0, 16, 32)]
    flat = [int(bit) for bit in bits]
    for text in (
        *(bits, " ".join(phases), "-".join(phases), MACRO_TEXT, f" {MACRO_TEXT}\n"),
        *(str(NSGANET_MACRO), f"NSGANet = {NSGANET_MACRO}", str(NSGANET_MACRO).replace("], [[", "],\n  [[")),
        *(str(flat), str(tuple(flat)), str(np.array(flat)), str([[int(bit) for bit in phase] for phase in phases])),
    ):
        assert space.to_string(space.from_string(text)) == MACRO_TEXT
    wiring = space.wiring(space.from_string(MACRO_TEXT)[None])
    assert [node for node in range(6) if wiring.inputs[0, 0, node, 1:].any()] == [1, 3, 4, 5]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MACRO_TEXT, "has the size 6 in front, and the space 4"),
        (str(NSGANET_MACRO), "nests its numbers in lists of other lengths"),
        ("0" * 48, "has 48 bits: 21 are needed where nodes is 4"),
        ("macro:0000000-0000000-0000000", "has the size none in front"),
        ("macro:4:0000000-0000000-000000", "has 20 bits: 21"),
        ("macro:4:000000-00000000-0000000", "character 15 is '-', not 0 or 1"),
        ("macro:4:0000000--0000000-0000000", "character 17 is '-'"),
        ("micro:0000", "is a text of the space micro; the form is macro:4:0000000-0000000-0000000"),
        ("NSGANet", "character 1 is 'N'"),
        ("[0, 1, 2" + ", 0" * 18 + "]", "number 3 is '2', not 0 or 1"),
        ("[0, 1, True" + ", 0" * 18 + "]", "number 3 is 'True'"),
        ("[0, 1.0" + ", 0" * 19 + "]", r"number 2 is '1\.0'"),
        ("[" * 300 + "]" * 300, "no Python text|nested too deeply"),
        ("[0, 1", "is no Python text at character 1"),
        ("[x for x in range(21)]", "neither a number"),
        (plain(FOUR_BLOCKS["DARTS_V2"]), "is a genotype of cells, as the spaces darts, of four blocks, and micro"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", "is a cell of NAS-Bench-201"),
    ],
)
def test_a_bad_macro_text_is_one_sentence(text, words):
    with pytest.raises(InputError, match=words) as caught:
        spaces.get("macro", nodes=4).from_string(text)
    assert "\n" not in str(caught.value)


def test_every_writing_of_a_micro_genome():
    space = spaces.get("micro")
    genome = space.from_string(plain(FIVE_BLOCKS["AmoebaNet"]))
    text = "micro:1001-3042-3013-3121-2011-1031-0072-7011-0001-8035"
    assert space.to_string(genome) == text
    nested = genome.reshape(2, 5, 2, 2).tolist()
    words = " ".join(map(str, genome))
    for each in (text, words, words.replace(" ", ""), str(nested), str(genome.tolist()), str(tuple(genome.tolist()))):
        assert (space.from_string(each) == genome).all()
    with pytest.raises(InputError, match="character 8 is '6', not 0 or 1"):
        space.from_string(text[:7] + "6" + text[8:])


def test_every_writing_of_a_nasbench_macro_genome():
    space = spaces.get("nasbench_macro")
    for each in ("12222120", "12 222 120", "12-222-120", "[1, 2, 2, 2, 2, 1, 2, 0]", "((1, 2), (2, 2, 2), (1, 2, 0))"):
        assert space.to_string(space.from_string(each)) == "nasbench_macro:12-222-120"
    with pytest.raises(InputError, match="has the size 3 in front, and the space none"):
        space.from_string("nasbench_macro:3:12-222-120")


NB201 = "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|nor_conv_3x3~2|"
NB201_NODES = (
    (("nor_conv_3x3", 0),),
    (("none", 0), ("skip_connect", 1)),
    (("avg_pool_3x3", 0), ("nor_conv_1x1", 1), ("nor_conv_3x3", 2)),
)


def test_every_writing_of_a_nasbench201_cell():
    space = spaces.get("nasbench201")
    lists = [[list(edge) for edge in reversed(node)] for node in NB201_NODES]
    matrix = [[0, 0, 0, 0], [3, 0, 0, 0], [0, 1, 0, 0], [4, 2, 3, 0]]
    floats = [[float(each) for each in row] for row in matrix]
    for each in (
        f" {NB201}\n",
        str(NB201_NODES),
        str(lists),
        json.dumps(lists),
        f"arch = {NB201_NODES}",
        str(matrix),
        str(floats),
    ):
        assert space.to_string(space.from_string(each)) == NB201


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("137", r"an index number names a line of NATS-Bench's own file.*arch\(index\) returns; the form is \|op~0"),
        ("[4, 0, 2, 3, 0, 1]", "a row of numbers says neither.* name the operations"),
        ("(4, 0, 3, 1, 4, 3)", "a row of numbers says neither"),
        ("64:32:16:8:64", "a network of the size space of NATS-Bench"),
        (str(NB201_NODES[:2]), "has 2 nodes: 3 are needed"),
        (str(NB201_NODES).replace("'none', 0", "'none', 1"), "node 2 reads '1', where each of 0 to 1 is read once"),
        (str(NB201_NODES).replace("none", "zero"), r"node 2 has .*zero.*, not one of none, skip_connect"),
        ("[[0, 1, 0, 0], [3, 0, 0, 0], [0, 1, 0, 0], [4, 2, 3, 0]]", "row 1 has 1 in column 2, where no edge can be"),
        ("[[0, 0, 0, 0], [5, 0, 0, 0], [0, 1, 0, 0], [4, 2, 3, 0]]", "row 2 has 5 in column 1, not 0 to 4"),
        ("[[0, 0, 0, 0], [.5, 0, 0, 0], [0, 1, 0, 0], [4, 2, 3, 0]]", r"row 2 has 0\.5 in column 1, not 0 to 4"),
    ],
)
def test_a_bad_nasbench201_cell_is_one_sentence(text, words):
    with pytest.raises(InputError, match=words):
        spaces.get("nasbench201").from_string(text)


NB101 = (
    "{'matrix': [[0, 1, 1], [0, 0, 1], [0, 0, 0]], 'ops': ['input', 'conv3x3-bn-relu', 'output']}",
    "ModelSpec(matrix=[[0, 1], [0, 0]], ops=['input', 'output'])",
    "([[0, 1], [0, 0]], ['input', 'maxpool3x3', 'output'])",
)


@pytest.mark.parametrize("name", spaces.names())
@pytest.mark.parametrize("text", NB101)
def test_nasbench101_is_refused_by_its_name(name, text):
    with pytest.raises(InputError, match="is a cell of NAS-Bench-101, whose space is not here; the form is "):
        spaces.get(name).from_string(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch executed')",
        "Genotype(normal=open('executed', 'w'), normal_concat=[], reduce=[], reduce_concat=[])",
        "[].__class__",
        "f'{1}'",
        "lambda: 0",
        "-" * 5000 + "1",
        "(" * 5000,
        "[" + "1+" * 50_000 + "1]",
        "0" * literals.LONGEST + "0(",
        "\x00(",
        "Genotype(**{})",
        "Genotype(*[1])",
        "import os",
        "",
    ],
)
def test_nothing_is_executed_and_every_end_is_a_sentence(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in spaces.names():
        with pytest.raises(InputError) as caught:
            spaces.get(name).from_string(text)
        assert len(str(caught.value)) < 4000
    assert not list(tmp_path.iterdir())
