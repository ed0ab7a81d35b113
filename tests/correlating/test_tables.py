"""Tables of trained networks, and the files of benchmarks, as far as they can be made by hand."""

import csv
import json
import re
import sys
import types

import numpy as np
import pytest

from rwejax import spaces
from rwejax.correlating import tables
from rwejax.errors import InputError

SPACE = spaces.get("nasbench_macro")
TEXTS = ["00000000", "11111111", "22222222", "01201201"]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "table.csv"
    lines = [f"{text},{90 + number},x" for number, text in enumerate(TEXTS)]
    path.write_text("\n".join(["architecture,accuracy,note", *lines]) + "\n")
    return path


def test_a_table_is_read_whole(table):
    read = tables.read(table, "accuracy", SPACE)
    assert read.available == 4
    texts = [SPACE.to_string(SPACE.from_string(text)) for text in TEXTS]
    assert dict(zip(read.texts, read.values.tolist(), strict=True)) == dict(zip(texts, range(90, 94), strict=True))
    assert read.genomes.dtype == np.int32
    assert [SPACE.to_string(genome) for genome in read.genomes] == list(read.texts)


def test_a_sample_is_drawn_by_the_seed(table):
    whole = tables.read(table, "accuracy", SPACE, seed=3)
    sample = tables.read(table, "accuracy", SPACE, sample=2, seed=3)
    assert (sample.texts, sample.available) == (whole.texts[:2], 4)
    assert tables.read(table, "accuracy", SPACE, sample=99, seed=3).texts == whole.texts
    orders = {tables.read(table, "accuracy", SPACE, seed=seed).texts for seed in range(20)}
    assert len(orders) > 5


@pytest.mark.parametrize(
    ("file", "column", "space", "options"),
    [
        ("nasbench201.csv", "imagenet16_accuracy", "nasbench201", {}),
        ("nasbench_macro.csv", "cifar10_accuracy", "nasbench_macro", {}),
        ("darts_trained.csv", "cifar10_accuracy_50_epochs", "darts", {}),
        ("nasbench301_surrogate.csv", "nb301_accuracy", "darts", {}),
        ("nsganet_complexity.csv", "params", "macro", {"nodes": 6}),
        ("nsganet_complexity.csv", "params", "macro", {"nodes": 4}),
        ("nsganet_complexity.csv", "params", "micro", {}),
    ],
)
def test_published_tables_are_read(request, file, column, space, options):
    path = request.getfixturevalue("truth") / file
    wanted = {"space": space, **{name: str(value) for name, value in options.items()}}
    with path.open() as lines:
        rows = [row for row in csv.DictReader(lines) if all(row.get(name, v) == v for name, v in wanted.items())]
    read = tables.read(path, column, spaces.get(space, **options))
    assert read.available == len(rows) > 0
    assert sorted(read.values) == sorted(float(row[column]) for row in rows)


BAD = [
    ("", "accuracy", "is empty"),
    ("architecture,accuracy\n", "accuracy", "has no rows of space 'nasbench_macro'"),
    ("architecture,space,accuracy\n00000000,macro,1\n", "accuracy", "has no rows of space 'nasbench_macro'"),
    ("network,accuracy\n00000000,1\n", "accuracy", "has no column of architectures among network, accuracy"),
    ("architecture,accuracy,flops\n00000000,1,2\n", "loss", "has no column 'loss': it has accuracy, flops"),
    ("architecture,accuracy\n00000003,2\n", "accuracy", "line 2 of truth"),
    ("architecture,accuracy\n0000000,2\n", "accuracy", "is no architecture of space 'nasbench_macro'"),
    ("architecture,accuracy\n11111111,high\n", "accuracy", "has accuracy 'high', which is no finite number"),
    ("architecture,accuracy\n11111111\n", "accuracy", "has accuracy '', which is no finite number"),
    ("architecture,accuracy\n00000000,\n", "accuracy", "has no rows of space 'nasbench_macro' with column 'accuracy'"),
    ("architecture,accuracy\n00000000,nan\n", "accuracy", "has accuracy 'nan'"),
    ("architecture,accuracy\n00000000,inf\n", "accuracy", "has accuracy 'inf'"),
]


@pytest.mark.parametrize(("content", "column", "words"), BAD)
def test_a_bad_table_is_answered_in_one_sentence(tmp_path, content, column, words):
    (tmp_path / "bad.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        tables.read(tmp_path / "bad.csv", column, SPACE, sample=1)
    message = str(caught.value)
    assert words in message
    assert "bad.csv" in message
    assert "\n" not in message


def test_a_table_that_cannot_be_opened(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        tables.read(tmp_path / "none.csv", "accuracy", SPACE)
    with pytest.raises(InputError, match="is a folder: give a CSV file for space 'nasbench_macro'"):
        tables.read(tmp_path, "accuracy", SPACE)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\x00\xfe")
    with pytest.raises(InputError, match="is no CSV file"):
        tables.read(tmp_path / "bytes.csv", "accuracy", SPACE)


def test_rows_without_a_value_are_left_out(tmp_path):
    (tmp_path / "a.csv").write_text("architecture,accuracy\n00000000,1\n11111111,\n22222222,3\n")
    found = tables.read(tmp_path / "a.csv", "accuracy", SPACE)
    assert (found.texts, found.available) == (("nasbench_macro:00-000-000", "nasbench_macro:22-222-222"), 2)


def test_a_row_that_makes_no_sense_is_left_out_and_said(tmp_path):
    rows = [
        "00000000,1",
        "0000000,2",
        "11111111,3",
        "00000003,4",
        "22222222,high",
        "12121212",
        '"[2, 2\n,2]",5',
        "02020202,6",
    ]
    (tmp_path / "a.csv").write_text("architecture,accuracy\n" + "\n".join(rows) + "\n")
    whole = tables.read(tmp_path / "a.csv", "accuracy", SPACE)
    assert whole.available == 3
    assert sorted(whole.values) == [1, 3, 6]
    assert [re.match(r"line (\d+) of truth", each)[1] for each in whole.skipped] == ["3", "5", "6", "7", "9"]
    assert "has 7 digits: 8 are needed" in whole.skipped[0]
    assert "has accuracy 'high', which is no finite number" in whole.skipped[2]
    assert not any("\n" in each for each in whole.skipped)
    good = [rows[0], rows[2], rows[7]]
    (tmp_path / "b.csv").write_text("architecture,accuracy\n" + "\n".join(good) + "\n")
    clean = tables.read(tmp_path / "b.csv", "accuracy", SPACE)
    assert (clean.texts, clean.values.tolist(), clean.skipped) == (whole.texts, whole.values.tolist(), ())


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "a.csv").write_text("architecture,accuracy\n00000000,1\n", encoding="utf-8-sig")
    assert tables.read(tmp_path / "a.csv", "accuracy", SPACE).texts == ("nasbench_macro:00-000-000",)


def result_of(genotype, **values):
    """A result file of NAS-Bench-301, as its authors' converter writes a genotype of sorted inputs."""
    config = {"NetworkSelectorDatasetInfo:darts:layers": 8, "OptimizerSelector:optimizer": "sgd"}
    prefix = "NetworkSelectorDatasetInfo:darts:"
    for cell, branches in genotype.items():
        first = 0
        for block in range(4):
            pair = branches[2 * block : 2 * block + 2]
            for operation, source in pair:
                config[f"{prefix}edge_{cell}_{first + source}"] = operation
            if block:
                config[f"{prefix}inputs_node_{cell}_{block + 2}"] = f"{pair[0][1]}_{pair[1][1]}"
            first += block + 2
    return {"optimized_hyperparamater_config": config, "budget": 100, **values}


CELLS = {
    "normal": [
        *[("skip_connect", 0), ("sep_conv_3x3", 1), ("sep_conv_3x3", 0), ("skip_connect", 1)],
        *[("dil_conv_3x3", 0), ("dil_conv_5x5", 2), ("sep_conv_3x3", 1), ("avg_pool_3x3", 4)],
    ],
    "reduce": [
        *[("max_pool_3x3", 0), ("avg_pool_3x3", 1), ("skip_connect", 1), ("dil_conv_5x5", 2)],
        *[("sep_conv_3x3", 1), ("sep_conv_5x5", 3), ("sep_conv_3x3", 2), ("dil_conv_3x3", 3)],
    ],
}


def test_results_of_nasbench301_are_read(tmp_path):
    (tmp_path / "rs").mkdir()
    result = result_of(CELLS, test_accuracy=94.5, info=[{"val_accuracy": 93.25, "epochs": 97}], runtime=3.5)
    (tmp_path / "rs" / "results_0.json").write_text(json.dumps(result))
    space = spaces.get("darts")
    read = tables.read(tmp_path, "test_accuracy", space)
    assert read.texts == (
        f"Genotype(normal={CELLS['normal']}, normal_concat=range(2, 6), "
        f"reduce={CELLS['reduce']}, reduce_concat=range(2, 6))",
    )
    assert space.to_string(read.genomes[0]) == read.texts[0]
    assert read.values.tolist() == [94.5]
    assert tables.read(tmp_path, "val_accuracy", space).values.tolist() == [93.25]
    outside = {**result, "val_accuracy": 92.0}
    (tmp_path / "rs" / "results_0.json").write_text(json.dumps(outside))
    assert tables.read(tmp_path, "val_accuracy", space).values.tolist() == [92.0]


def test_a_sample_opens_only_the_files_that_it_draws(tmp_path):
    for number in range(3):
        (tmp_path / f"results_{number}.json").write_text(json.dumps(result_of(CELLS, test_accuracy=94.5)))
    space = spaces.get("darts")
    first = np.random.default_rng(0).permutation(3)[0]
    for number in set(range(3)) - {first}:
        (tmp_path / f"results_{number}.json").write_text("broken")
    read = tables.read(tmp_path, "test_accuracy", space, sample=1)
    assert (len(read.values), read.available) == (1, 3)
    with pytest.raises(InputError, match="is no result of NAS-Bench-301"):
        tables.read(tmp_path, "test_accuracy", space)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no result of NAS-Bench-301"),
        ("[]", "is no result of NAS-Bench-301"),
        ('{"test_accuracy": 94.5}', "optimized_hyperparamater_config"),
        (json.dumps(result_of(CELLS, runtime=3.5)), "has no column 'test_accuracy': it has budget, runtime"),
        (json.dumps(result_of(CELLS, test_accuracy=None)), "which is no finite number"),
        (json.dumps(result_of(CELLS, test_accuracy=94.5)).replace("dil_conv_5x5", "conv_9x9"), "'conv_9x9'"),
        (json.dumps(result_of(CELLS, test_accuracy=94.5)).replace("node_normal_4", "node_normal_6"), "KeyError"),
    ],
)
def test_a_bad_result_is_answered_in_one_sentence(tmp_path, content, words):
    (tmp_path / "results_7.json").write_text(content)
    with pytest.raises(InputError, match=r"results_7\.json") as caught:
        tables.read(tmp_path, "test_accuracy", spaces.get("darts"))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_results(tmp_path):
    with pytest.raises(InputError, match="holds no JSON files"):
        tables.read(tmp_path, "test_accuracy", spaces.get("darts"))


NATS_TEXTS = [
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
    "|nor_conv_3x3~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
]


def trial(api, dataset, seed, accuracy):
    """One training of one epoch, of which only the test accuracy says something."""
    result = api.ResultsCount(dataset, None, {0: 50.0}, {0: 1.0}, 1.0, 1.0, {}, seed, 1, None)
    result.update_train_info({0: 50.0}, {0: 90.0}, {0: 1.0}, {0: 1.0})
    key = "ori-test@0" if dataset == "cifar10" else "x-test@0"
    result.update_eval({key: accuracy}, {key: 1.0}, {key: 1.0})
    return result


def nats_bench_entry(api, number):
    """The network's two trainings of 12 epochs and two of 200 on each dataset."""
    entry = {}
    for epochs, lowest in (("12", 20), ("200", 50)):
        results = api.ArchResults(number, NATS_TEXTS[number])
        for place, dataset in enumerate(("cifar10", "cifar100", "ImageNet16-120")):
            for seed in (777, 888):
                results.update(dataset, seed, trial(api, dataset, seed, lowest - 10 * place + number + (seed == 888)))
        entry[epochs] = results.state_dict()
    return entry


@pytest.mark.parametrize(
    ("column", "first"), [("cifar10_accuracy", 50.5), ("cifar100_accuracy", 40.5), ("imagenet16_accuracy", 30.5)]
)
@pytest.mark.parametrize("name", ["NATS-tss-v1_0-3ffb9.pickle.pbz2", "NATS-tss-v1_0-3ffb9-simple"])
def test_nats_bench_is_read_by_its_own_package(tmp_path, column, first, name):
    api = pytest.importorskip("nats_bench")
    path = tmp_path / name
    entries = {number: nats_bench_entry(api, number) for number in range(2)}
    if name.endswith("simple"):
        path.mkdir()
        api.pickle_save({"meta_archs": NATS_TEXTS}, path / "meta.pickle.pbz2", ext="")
        for number, entry in entries.items():
            api.pickle_save(entry, path / f"{number:06d}.pickle.pbz2", ext="")
    else:
        content = {"meta_archs": NATS_TEXTS, "arch2infos": entries, "evaluated_indexes": [0, 1]}
        api.pickle_save(content, path, ext="")
    read = tables.read(path, column, spaces.get("nasbench201"))
    assert read.available == 2
    assert dict(zip(read.texts, read.values, strict=True)) == dict(zip(NATS_TEXTS, (first, first + 1), strict=True))


def test_nats_bench_without_its_package_or_with_a_broken_file(tmp_path, monkeypatch):
    path, space = tmp_path / "NATS-tss.pickle.pbz2", spaces.get("nasbench201")
    path.touch()
    monkeypatch.setitem(sys.modules, "nats_bench", None)
    with pytest.raises(InputError, match=r"pip install 'rwejax\[nats\]'"):
        tables.read(path, "cifar10_accuracy", space)
    with pytest.raises(InputError, match="has no column 'accuracy': it has cifar10_accuracy"):
        tables.read(path, "accuracy", space)
    package = types.ModuleType("nats_bench")
    monkeypatch.setitem(sys.modules, "nats_bench", package)

    def create(*_, **__):
        raise EOFError("Compressed file ended\nbefore the end")

    package.create = create
    with pytest.raises(InputError, match=r"cannot be read by NATS-Bench \(Compressed file ended before the end\)"):
        tables.read(path, "cifar10_accuracy", space)
