import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from rwejax.data import load, tfds_download
from rwejax.errors import InputError

# Bound before any test replaces the name in its module.
REACHABLE = tfds_download.reachable


def pixels(images, dataset):
    """Undoes the standardisation."""
    return np.rint(images * dataset.std + dataset.mean).astype(int)


@pytest.fixture
def shapes_copy(shapes_dir, tmp_path):
    """A prepared set to break; gives the folder of all sets and that of the one version."""
    root = tmp_path / "sets"
    shutil.copytree(shapes_dir / "rwe_shapes" / "plain", root / "rwe_shapes" / "plain")
    return root, root / "rwe_shapes" / "plain" / "1.2.0"


def refusal(name, data_dir, **arguments):
    """The one sentence that `load` refuses with."""
    with pytest.raises(InputError) as caught:
        load(name, **({"train": 12, "validation": 6} | arguments), data_dir=data_dir)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_images_and_labels_are_those_of_the_set(shapes_dir):
    dataset = load("rwe_shapes/plain", train=21, validation=9, data_dir=shapes_dir)
    assert (dataset.classes, dataset.image_shape) == (3, (8, 8, 1))
    images = pixels(np.concatenate([dataset.train_images, dataset.validation_images]), dataset)
    labels = np.concatenate([dataset.train_labels, dataset.validation_labels])
    numbers = images[:, 0, 0, 0] // 8
    assert sorted(numbers) == list(range(30))
    np.testing.assert_array_equal(numbers % 3, labels)
    test_images, test_labels = dataset.test()
    assert sorted(pixels(test_images, dataset)[:, 0, 0, 0] // 8) == list(range(9))
    np.testing.assert_array_equal(np.bincount(test_labels), [3, 3, 3])


def test_a_set_without_test_split_is_tested_on_its_validation_split(shapes_dir):
    dataset = load("rwe_shapes/no_test", train=24, validation=6, data_dir=shapes_dir)
    assert len(dataset.test()[1]) == 6


def test_the_data_dir_argument_wins_over_the_environment(shapes_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(shapes_dir))
    assert load("rwe_shapes/plain", train=6, validation=3).classes == 3
    assert str(tmp_path) in refusal("rwe_shapes/plain", tmp_path)


def test_the_default_data_dir_is_that_of_tensorflow_datasets(shapes_dir, tmp_path, monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "tensorflow_datasets").symlink_to(shapes_dir)
    assert load("rwe_shapes/plain", train=6, validation=3).classes == 3


def test_the_newest_version_is_taken_unless_one_is_named(shapes_copy):
    root, folder = shapes_copy
    shutil.copytree(folder, folder.with_name("1.10.0"))
    (folder.with_name("1.11.0")).mkdir()  # not prepared
    (folder.with_name("1.10.0") / "features.json").unlink()
    assert "1.10.0" in refusal("rwe_shapes", root)
    assert load("rwe_shapes:1.2.0", train=6, validation=3, data_dir=root).classes == 3


def test_a_configuration_must_be_named_where_there_are_several(shapes_dir):
    assert "'rwe_shapes' is prepared in several configurations, deep, no_test," in refusal("rwe_shapes", shapes_dir)


def test_images_of_several_sizes_need_an_image_size(shapes_dir):
    assert "several sizes, 8x8 and 9x9 (image" in refusal("rwe_shapes/sizes", shapes_dir)
    assert load("rwe_shapes/sizes", train=6, validation=3, data_dir=shapes_dir, image_size=6).image_shape == (6, 6, 1)


def test_an_unlabelled_test_split_matters_only_to_the_test(shapes_dir):
    dataset = load("rwe_shapes/unlabelled", train=6, validation=3, data_dir=shapes_dir)
    with pytest.raises(InputError, match="images without a label in its test split"):
        dataset.test()


@pytest.mark.parametrize(
    ("name", "message"), [("tables", "is no image classification set"), ("deep", "1 channels of uint16")]
)
def test_sets_that_are_not_of_8_bit_images_and_labels(shapes_dir, name, message):
    assert message in refusal(f"rwe_shapes/{name}", shapes_dir)


def cut_records(folder):
    path = next(folder.glob("*train.array_record*"))
    os.truncate(path, path.stat().st_size // 2)


def lose_records(folder):
    next(folder.glob("*train.array_record*")).unlink()


def garble_info(folder):
    (folder / "dataset_info.json").write_text('{"splits": [')


def empty_info(folder):
    (folder / "dataset_info.json").write_text("[]")


def garble_features(folder):
    (folder / "features.json").write_text("{")


def lose_info(folder):
    (folder / "dataset_info.json").unlink()


@pytest.mark.parametrize("damage", [cut_records, lose_records, garble_info, empty_info, garble_features, lose_info])
def test_a_broken_set(shapes_copy, damage, capfd):
    root, folder = shapes_copy
    damage(folder)
    message = refusal("rwe_shapes/plain", root)
    assert f"dataset 'rwe_shapes/plain' in '{folder}' is broken (" in message
    assert "delete this folder and prepare or copy it again" in message
    assert capfd.readouterr() == ("", "")


def test_a_broken_image(shapes_copy):
    root, folder = shapes_copy
    path = next(folder.glob("*train.array_record*"))
    # Records are compressed and hashed, so a record of another split with garbage in place of images is put there.
    from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter

    records = ArrayRecordReader(str(path)).read_all()
    path.unlink()
    writer = ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record.replace(b"PNG", b"GNP"))
    writer.close()
    assert "image 0 of the train split of dataset 'rwe_shapes/plain' is broken" in refusal("rwe_shapes/plain", root)


def test_a_format_that_only_tensorflow_reads(shapes_copy):
    root, folder = shapes_copy
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps(info | {"fileFormat": "tfrecord"}))
    assert "a format that only TensorFlow reads: prepare it once more" in refusal("rwe_shapes/plain", root)


def test_a_set_without_train_split(shapes_copy):
    root, folder = shapes_copy
    info = json.loads((folder / "dataset_info.json").read_text())
    info["splits"] = [split for split in info["splits"] if split["name"] != "train"]
    (folder / "dataset_info.json").write_text(json.dumps(info))
    assert "has no train split but" in refusal("rwe_shapes/plain", root)


@pytest.mark.parametrize(
    ("name", "guess"), [("cifra10", "'cifar10'"), ("CIFAR10", "'cifar10'"), ("digit", "'digits'"), ("../x", "unknown:")]
)
def test_an_unknown_name(tmp_path, name, guess):
    message = refusal(name, tmp_path)
    assert message.startswith(f"dataset {name!r} is unknown: ")
    assert guess in message
    assert message.endswith("se 'digits', 'folder:PATH' or a TensorFlow Datasets name")


def test_a_data_dir_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert "is a file: give the folder" in refusal("cifar10", tmp_path / "file")


def test_a_set_of_texts_is_refused_before_any_download(tmp_path):
    assert "'imdb_reviews' is no image classification set" in refusal("imdb_reviews", tmp_path)


def test_a_set_to_be_fetched_by_hand(tmp_path):
    assert "has to be downloaded by hand" in refusal("imagenet2012", tmp_path)


def test_a_version_that_does_not_exist(tmp_path):
    assert "cannot be loaded at version 1.0.0, only: 3.0.2)" in refusal("cifar10:1.0.0", tmp_path)


def test_an_unprepared_set_without_a_network(tmp_path, capfd):
    message = refusal("cifar100", tmp_path)
    assert f"dataset 'cifar100' is not prepared in '{tmp_path}' and there is no network" in message
    assert "point data_dir (--data-dir) or TFDS_DATA_DIR to a folder that holds cifar100" in message
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_an_unprepared_set_answers_quickly_and_quietly_in_a_new_process(tmp_path):
    # A proxy at which nobody listens stands for a network that is down, wherever the test runs.
    program = (
        "import sys, rwejax.data\n"
        "try: rwejax.data.load('cifar100', train=100, validation=100, data_dir=sys.argv[1])\n"
        "except ValueError as error: print(error)"
    )
    proxies = dict.fromkeys(("http_proxy", "https_proxy"), "http://127.0.0.1:9")
    environment = {key: value for key, value in os.environ.items() if key.lower() not in (*proxies, "no_proxy")}
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env=environment | proxies,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert time.monotonic() - start < 10
    assert "there is no network" in done.stdout
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def pretend_tensorflow(monkeypatch, installed):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: (object() if installed else None) if name == "tensorflow" else find_spec(name, *rest),
    )


def test_with_a_network_but_no_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr("rwejax.data.tfds_download.reachable", lambda url: True)
    pretend_tensorflow(monkeypatch, installed=False)
    assert "preparing it needs TensorFlow: pip install 'rwejax[prepare]'" in refusal("cifar100", tmp_path)


def test_with_a_network_a_set_is_prepared_and_then_read(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr("rwejax.data.tfds_download.reachable", lambda url: True)
    pretend_tensorflow(monkeypatch, installed=True)
    dataset = load("rwe_shapes/plain", train=21, validation=9, data_dir=tmp_path)
    assert dataset.train_images.shape == (21, 8, 8, 1)
    assert list((tmp_path / "rwe_shapes" / "plain" / "1.2.0").glob("*.array_record*"))


def test_a_set_whose_description_needs_tensorflow(shapes, tmp_path, monkeypatch):
    def describe(self):
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    monkeypatch.setattr(shapes, "_info", describe)
    message = refusal("rwe_shapes/plain", tmp_path)
    assert "cannot be built by TensorFlow Datasets (No module named 'tensorflow'): pip install 'rwejax[" in message


def test_a_preparation_that_fails(shapes, tmp_path, monkeypatch):
    def fail(self, *args):
        raise ConnectionError("the server is on fire\nand more")

    monkeypatch.setattr("rwejax.data.tfds_download.reachable", lambda url: True)
    monkeypatch.setattr(shapes, "_split_generators", fail)
    pretend_tensorflow(monkeypatch, installed=True)
    assert "could not be prepared there (the server is on fire): try again" in refusal("rwe_shapes/plain", tmp_path)


@pytest.fixture
def listener(monkeypatch):
    """A port of this machine that takes connections, and no proxies in the environment."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_network_is_tried_directly(listener):
    assert REACHABLE(f"http://127.0.0.1:{listener}/set.tar.gz")
    assert not REACHABLE("http://127.0.0.1:9")


def test_the_network_is_tried_through_the_proxy(listener, monkeypatch):
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{listener}")
    assert REACHABLE("https://example.invalid")
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{listener}")
    assert REACHABLE("https://example.invalid")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert not REACHABLE(f"https://127.0.0.1:{listener}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert REACHABLE(f"https://127.0.0.1:{listener}")


def test_a_resolver_that_hangs_is_not_waited_for(listener, monkeypatch):
    answer = threading.Event()

    def resolve(*arguments, **options):
        answer.wait(10)
        raise OSError("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    start = time.monotonic()
    assert not REACHABLE("https://example.invalid", seconds=0.2)
    assert time.monotonic() - start < 5
    answer.set()


@pytest.mark.parametrize("package", tfds_download.PACKAGES)
def test_a_plain_install_names_the_extra(shapes_copy, monkeypatch, capfd, package):
    monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    extra = f"needs the package {package}, which is not installed: pip install 'rwejax[tfds]', or use 'digits' or"
    assert extra in refusal("cifar10", shapes_copy[0])
    assert extra in refusal("rwe_shapes/plain", shapes_copy[0], train=13)
    assert capfd.readouterr() == ("", "")


def test_a_plain_install_knows_that_a_name_means_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert refusal("no/such/name", tmp_path) == (
        "dataset 'no/such/name' is unknown: use 'digits', 'folder:PATH' or a TensorFlow Datasets name"
    )
