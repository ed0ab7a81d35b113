"""Sources by name: tables of paths, Hugging Face's datasets on disk, and those that users register."""

import csv

import numpy as np
import pytest
from PIL import Image

import rwejax
from rwejax import data, plugins
from rwejax.errors import InputError


def red(images, dataset):
    return np.rint(images[:, 0, 0, 0] * dataset.std[0] + dataset.mean[0]).astype(int).tolist()


def table(root, rows, header=("path", "label"), name="labels.csv"):
    """A CSV file, and the images that it names, whose red values are their numbers."""
    for number, (path, *_) in enumerate(rows):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number, 9, 0)).save(root / path)
    with (root / name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return f"csv:{root / name}"


ROWS = [(f"images/{number}.png", f"kind {number % 3 * 5}") for number in range(30)]


def test_a_table_of_paths_and_labels(tmp_path):
    dataset = data.load(table(tmp_path, ROWS), train=None, validation=6)
    assert dataset.class_names == ("kind 0", "kind 5", "kind 10")
    images = np.concatenate([dataset.train_images, dataset.validation_images, dataset.test()[0]])
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels, dataset.test()[1]])
    numbers = red(images, dataset)
    assert sorted(numbers) == list(range(30))
    assert [number % 3 for number in numbers] == labels.tolist()


def test_neither_the_order_of_lines_and_columns_nor_the_place_counts(tmp_path):
    one = data.load(table(tmp_path / "one", ROWS), train=18, validation=6)
    other_rows = [(label, path) for path, label in ROWS]
    name = table(tmp_path / "other", ROWS)
    with open(name.removeprefix("csv:"), "w", newline="", encoding="utf-8-sig") as file:  # as spreadsheets write it
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("Label", "Path"), *reversed(other_rows)])
    assert data.load(name, train=18, validation=6).fingerprint == one.fingerprint
    stream = data.stream(name, image_size=8)
    assert (stream.class_names, stream.count("test")) == (one.class_names, 6)


def test_absolute_paths_and_a_column_of_splits(tmp_path):
    rows = [
        (str(tmp_path / "far" / f"{number}.png"), "ab"[number % 2], ("train", "val", "test")[number // 10])
        for number in range(30)
    ]
    name = table(tmp_path, rows, ("path", "label", "split"))
    dataset = data.load(name, train=None, validation=None)
    assert sorted(red(dataset.train_images, dataset)) == list(range(10))
    assert sorted(red(dataset.validation_images, dataset)) == list(range(10, 20))
    assert sorted(red(dataset.test()[0], dataset)) == list(range(20, 30))


def test_a_label_that_changes_is_read_anew(tmp_path):
    before = data.load(table(tmp_path, ROWS), train=18, validation=6)
    swapped = [(path, {"kind 0": "kind 5", "kind 5": "kind 0"}.get(label, label)) for path, label in ROWS]
    after = data.load(table(tmp_path, swapped), train=18, validation=6)
    assert after.class_names == before.class_names
    assert after.fingerprint != before.fingerprint


def test_a_line_that_repeats_another_is_left_out(tmp_path):
    name = table(tmp_path, [*ROWS, ROWS[0], ROWS[0]])
    dataset = data.load(name, train=18, validation=6)
    assert dataset.left_out == "2 lines that repeat another"
    assert dataset.test_count + 24 == 30


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'path' in its first line"),
        ("path,class\n", "has no column 'label' in its first line"),
        ("path;label\na.png;x\n", "has no column 'path'"),
        ("path,label\na.png,x\n", "has 1 class: give images of two at least"),
        (
            "path,label\na.png,x\nb.png,y\n",
            "class 'x' of dataset .* holds 1 image .*: add some until there are 3, or le",
        ),
        ("path,label\na.png,x\nmissing.png,y\n", "line 3 of dataset .* names '.*missing.png', which is no file"),
        ("path,label\na.png,\n", "line 2 of dataset .* has no path, label or known split: give it path, label"),
        ("path,label\na.png\n", "line 2 of dataset .* has no path, label"),
        ("path,label,split\na.png,x,dev\n", "line 2 of dataset .* has no path, label or known split"),
        ("path,label,split\na.png,x,val\nb.png,y,test\n", "has no line of split train"),
        ("path,label\na.png,x\na.png,y\n", "line 3 of dataset .* names '.*a.png' again, otherwise: keep one line"),
        ('path,label\n"a.png,x\n', "is no table in UTF-8"),
        (b"path,label\na.png,\xff\n", "is no table in UTF-8"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, message):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    path = tmp_path / "labels.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match=message):
        data.load(f"csv:{path}", train=None, validation=2)


def test_a_table_that_is_not_there(tmp_path):
    for name, message in [
        ("csv:", "names no file"),
        (f"csv:{tmp_path}", "is no file"),
        (f"csv:{tmp_path}/x", "is no f"),
    ]:
        with pytest.raises(InputError, match=message):
            data.load(name, train=2, validation=2)


def hugging_face(splits):
    """What the library makes of images, of which the red value is their number; by split, how many."""
    library = pytest.importorskip("datasets", reason="needs the extra hf")
    features = library.Features({"picture": library.Image(), "kind": library.ClassLabel(names=["cat", "dog"])})

    def rows(first, count):
        for number in range(first, first + count):
            yield {"picture": Image.new("RGB", (4, 4), (number, 9, 0)), "kind": number % 2}

    starts = np.cumsum([0, *splits.values()])
    made = {
        split: library.Dataset.from_list(list(rows(start, count)), features=features)
        for start, (split, count) in zip(starts, splits.items(), strict=False)
    }
    return library.DatasetDict(made) if len(made) > 1 else made["train"]


def test_a_set_of_hugging_face(tmp_path):
    hugging_face({"train": 20}).save_to_disk(tmp_path / "set")
    dataset = data.load(f"hf:{tmp_path}/set", train=None, validation=4)
    assert (dataset.class_names, dataset.summary.splitlines()[0]) == (
        ("cat", "dog"),
        "20 images in 2 classes: 12 train, 4 validation, 4 test",
    )
    np.testing.assert_array_equal(np.array(red(dataset.train_images, dataset)) % 2, dataset.train_labels)
    stream = data.stream(f"hf:{tmp_path}/set", image_size=8)
    images, labels = next(stream.batches("test", 4))
    np.testing.assert_array_equal(images[:, 0, 0, 0] % 2, labels)


def test_splits_of_hugging_face(tmp_path):
    hugging_face({"train": 10, "validation": 6, "test": 4, "unsupervised": 2}).save_to_disk(tmp_path / "set")
    dataset = data.load(f"hf:{tmp_path}/set", train=None, validation=None)
    assert sorted(red(dataset.validation_images, dataset)) == list(range(10, 16))
    assert sorted(red(dataset.test()[0], dataset)) == list(range(16, 20))
    assert dataset.left_out == "split 'unsupervised'"


def test_no_set_of_hugging_face(tmp_path, monkeypatch):
    pytest.importorskip("datasets", reason="needs the extra hf")
    with pytest.raises(
        InputError, match=r"cannot be read \(.*\): write 'hf:PATH' with the PATH of a folder that save_t"
    ):
        data.load(f"hf:{tmp_path}", train=2, validation=2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"needs the package datasets, which is not installed: pip install 'rwejax\[hf\]'"
    ):
        data.load(f"hf:{tmp_path}", train=2, validation=2)


SOURCE = """
import numpy as np
from rwejax.data import Source, Split

def read(split, image_size):
    labels = np.arange(40, dtype=np.int32) % 2
    return Split(np.full((40, 8, 8, 1), 7, np.uint8) * labels[:, None, None, None].astype(np.uint8), labels, ("a", "b"))

def stripes(name):
    return Source(name, "stripes", "", {"train": 40}, read)
"""


def test_a_source_of_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE)
    name = f"{tmp_path / 'mine.py'}:stripes"
    with pytest.raises(InputError, match=r"is not executed unless you ask for it: .* give --dataset"):
        data.load(name, train=20, validation=10)
    plugins.load(name)
    dataset = data.load(name, train=20, validation=10)
    assert (dataset.class_names, dataset.image_shape) == (("a", "b"), (8, 8, 1))
    config = rwejax.SearchConfig(dataset=name).resolved()
    assert config.dataset.startswith(f"{name}@")
    assert (config.dataset_name, config.code_flags) == ("stripes", ("--dataset", name))


def test_names_of_sources():
    for name in ("digits", "csv", "folder", "hf"):
        with pytest.raises(InputError, match=f"source has the name '{name}' of another one"):
            rwejax.register_source(name, lambda name: None)
    with pytest.raises(InputError, match="give letters, digits and underscores"):
        rwejax.register_source("a:b", lambda name: None)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (lambda name: None, "finds no images: its function must return a rwejax.data.Source with a train split"),
        (lambda name: data.Source(name, "x", "", {"test": 3}, print), "finds no images"),
        (
            lambda name: data.Source(name, "x", "", {"train": 3}, lambda *_: None),
            "gives no images: its source must read",
        ),
        (
            lambda name: data.Source(
                name, "x", "", {"train": 3}, lambda *_: data.Split(np.zeros((3, 4, 4, 1)), np.zeros(3, int), ("a",))
            ),
            "gives no images: its source must read uint8",
        ),
    ],
)
def test_sources_that_keep_no_promise(monkeypatch, found, message):
    monkeypatch.setattr("rwejax.data.registry._registered", {"mine": found})
    with pytest.raises(InputError, match=message):
        data.load("mine:anything", train=2, validation=1)
