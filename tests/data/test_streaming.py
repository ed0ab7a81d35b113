import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from rwejax import data
from rwejax.data import crops, splits, tfds
from rwejax.errors import InputError

SIZE = 16
EACH = 20  # images of each of three classes


def colour(number):
    """A colour for each image, so far from the others that neither jpeg nor resizing confuses them."""
    return (number % 4 * 80, number // 4 % 4 * 80, number // 16 * 80)


def numbers(images):
    """The numbers of plain images, by their colours."""
    steps = np.rint(images[:, SIZE // 2, SIZE // 2].astype(float) / 80).astype(int)
    return steps @ [1, 4, 16]


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A folder of plain images, jpeg and png, upright and lying, of various sizes."""
    root = tmp_path_factory.mktemp("plain")
    rng = np.random.default_rng(0)
    for number in range(3 * EACH):
        folder = root / f"class{number // EACH}"
        folder.mkdir(exist_ok=True)
        size = tuple(rng.integers(20, 90, 2).tolist())
        suffix, options = ("jpg", {"quality": 95}) if number % 2 else ("png", {})
        Image.new("RGB", size, colour(number)).save(folder / f"{number:02}.{suffix}", **options)
    return f"folder:{root}"


def collect(batches):
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def assert_same(one, other):
    assert len(one) == len(other)
    for (images, labels), (other_images, other_labels) in zip(one, other, strict=True):
        np.testing.assert_array_equal(images, other_images)
        np.testing.assert_array_equal(labels, other_labels)


def test_shapes_and_numbers(plain):
    stream = data.stream(plain, image_size=SIZE)
    assert (stream.classes, stream.image_shape) == (3, (SIZE, SIZE, 3))
    assert [stream.count(split) for split in ("train", "validation", "test")] == [43, 5, 12]
    assert "train=43, validation=5, test=12, classes=3" in repr(stream)
    np.testing.assert_allclose(stream.mean, [123.675, 116.28, 103.53], rtol=1e-6)
    np.testing.assert_allclose(stream.std, [58.395, 57.12, 57.375], rtol=1e-6)
    for batches, sizes in (
        (stream.train_batches(0, 20), [20, 20, 20]),
        (stream.train_batches(0, 43), [43]),
        (stream.batches("test", 5), [5, 5, 2]),
        (stream.batches("validation", 8), [5]),
    ):
        found = list(batches)
        assert [images.shape for images, _ in found] == [(size, SIZE, SIZE, 3) for size in sizes]
        assert [labels.shape for _, labels in found] == [(size,) for size in sizes]
        assert {(images.dtype, labels.dtype) for images, labels in found} == {(np.dtype(np.uint8), np.dtype(np.int32))}


def test_every_train_image_comes_once_an_epoch_and_the_splits_share_none(plain):
    stream = data.stream(plain, image_size=SIZE)
    seen = {split: collect(stream.batches(split, 7)) for split in ("train", "validation", "test")}
    for images, labels in seen.values():
        np.testing.assert_array_equal(numbers(images) // EACH, labels)
    everything = np.concatenate([numbers(images) for images, _ in seen.values()])
    assert sorted(everything) == list(range(3 * EACH))
    orders = []
    for epoch in range(3):
        images, labels = collect(stream.train_batches(epoch, 1))
        np.testing.assert_array_equal(numbers(images) // EACH, labels)
        orders.append(numbers(images).tolist())
        assert sorted(orders[-1]) == sorted(numbers(seen["train"][0]))
    assert orders[0] != orders[1] != orders[2]


def test_the_test_part_is_that_of_load_and_no_seed_moves_it(plain):
    one, other = (data.stream(plain, image_size=SIZE, seed=seed) for seed in (0, 1))
    assert_same(list(one.batches("test", 5)), list(other.batches("test", 5)))
    held_out = splits.hold_out(np.repeat(np.arange(3), EACH), 3)
    np.testing.assert_array_equal(numbers(collect(one.batches("test", 5))[0]), held_out)
    assert set(numbers(collect(one.batches("validation", 5))[0])) != set(
        numbers(collect(other.batches("validation", 5))[0])
    )


def test_validation_holds_every_class_equally_often(plain):
    labels = collect(data.stream(plain, image_size=SIZE).batches("validation", 5))[1]
    assert np.ptp(np.bincount(labels, minlength=3)) <= 1


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A folder of images in which every crop differs."""
    root = tmp_path_factory.mktemp("noise")
    rng = np.random.default_rng(1)
    for number in range(30):
        folder = root / str(number % 2)
        folder.mkdir(exist_ok=True)
        height, width = rng.integers(40, 120, 2)
        Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).save(folder / f"{number}.jpg")
    return f"folder:{root}"


def test_batches_are_a_function_of_seed_and_epoch(noise):
    epoch = list(data.stream(noise, image_size=SIZE).train_batches(3, 4))
    assert_same(epoch, list(data.stream(noise, image_size=SIZE).train_batches(3, 4)))
    for seed, number in ((0, 2), (1, 3)):
        other = list(data.stream(noise, image_size=SIZE, seed=seed).train_batches(number, 4))
        assert not np.array_equal(epoch[0][0], other[0][0])


def test_a_start_skips_batches_and_changes_no_bit(noise, monkeypatch):
    stream = data.stream(noise, image_size=SIZE)
    epoch = list(stream.train_batches(1, 4))
    decoded = []
    monkeypatch.setattr(
        crops, "random_crop", lambda *a, crop=crops.random_crop, **k: decoded.append(a) or crop(*a, **k)
    )
    for start in range(len(epoch) + 1):
        decoded.clear()
        assert_same(epoch[start:], list(stream.train_batches(1, 4, start=start)))
        assert len(decoded) == 4 * (len(epoch) - start)


def middle(image, size):
    """The published preprocessing by other means: a triangle filter as two matrices, in floating point."""
    pixels = np.asarray(image.convert("RGB")).astype(float)
    shorter = round(size * 256 / 224)
    for axis in (0, 1):
        old = pixels.shape[axis]
        new = shorter * old // min(image.size)
        scale = old / new
        centres = (np.arange(new)[:, None] + 0.5) * scale
        weights = np.maximum(1 - np.abs(np.arange(old) + 0.5 - centres) / max(scale, 1), 0)
        weights /= weights.sum(axis=1, keepdims=True)
        pixels = np.moveaxis(np.tensordot(weights, pixels, (1, axis)), 0, axis)
    upper, left = (round((side - size) / 2) for side in pixels.shape[:2])
    return pixels[upper : upper + size, left : left + size]


@pytest.mark.parametrize("shape", [(40, 61), (75, 38), (10, 12), (16, 16)])
def test_the_centre_crop_is_that_of_other_means(tmp_path, shape):
    image = Image.fromarray(np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8))
    image.save(tmp_path / "image.png")
    np.testing.assert_allclose(crops.centre_crop(tmp_path / "image.png", SIZE), middle(image, SIZE), atol=1.01)


def test_boxes_follow_the_published_distribution():
    rng = np.random.default_rng(0)
    boxes = np.array([crops.random_box(rng, 2000, 2000) for _ in range(4000)])
    left, upper, right, lower = boxes.T
    wide, high = right - left, lower - upper
    assert boxes.min() >= 0
    assert boxes.max() <= 2000
    area, aspect = wide * high / 2000**2, wide / high
    assert 0.0795 < area.min() < 0.09
    assert 0.95 < area.max() <= 1
    assert 0.7485 < aspect.min() < 0.76
    assert 1.32 < aspect.max() < 1.3358
    # Up to three quarters of the area, a box of any aspect ratio fits into a square, so none is drawn anew.
    free = area < 0.75
    assert stats.kstest(area[free], stats.uniform(0.08, 0.75 - 0.08).cdf).pvalue > 0.01
    log = math.log(4 / 3)
    assert stats.kstest(np.log(aspect[free]), stats.uniform(-log, 2 * log).cdf).pvalue > 0.01
    assert stats.kstest(left[free] / (2000 - wide[free]), "uniform").pvalue > 0.01
    assert stats.kstest(upper[free] / (2000 - high[free]), "uniform").pvalue > 0.01


@pytest.mark.parametrize(("width", "height"), [(1000, 10), (10, 1000), (1, 1), (3, 400)])
def test_an_image_too_long_for_any_box_is_cut_in_its_middle(width, height):
    for seed in range(20):
        left, upper, right, lower = crops.random_box(np.random.default_rng(seed), width, height)
        assert 0 <= left < right <= width
        assert 0 <= upper < lower <= height
        if max(width, height) == 1000:
            assert abs(left - (width - right)) <= 1
            assert abs(upper - (height - lower)) <= 1


def test_a_large_jpeg_is_cropped_where_its_pixels_are(tmp_path, monkeypatch):
    # Red grows to the right and green downwards, which tells where a crop was taken, also when decoded at an eighth.
    height, width = 1201, 1603
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns * 255 / width, rows * 255 / height, np.zeros_like(rows)], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.jpg", quality=95, subsampling=0)
    box = (400, 300, 1402, 1102)
    monkeypatch.setattr(crops, "random_box", lambda *_: box)
    expected = np.asarray(Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box)).astype(int)
    mirrored = set()
    for seed in range(8):
        crop = crops.random_crop(tmp_path / "large.jpg", SIZE, np.random.default_rng(seed)).astype(int)
        mirrored.add(bool(crop[0, 0, 0] > crop[0, -1, 0]))
        np.testing.assert_allclose(crop[:, :: -1 if crop[0, 0, 0] > crop[0, -1, 0] else 1], expected, atol=3)
    assert mirrored == {True, False}


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_photograph_is_turned_upright_and_then_mirrored(tmp_path, suffix):
    stored = np.zeros((64, 64, 3), np.uint8)
    stored[:, :32] = 255  # left half white, and to be turned by a quarter clockwise: upper half white
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / f"photo.{suffix}", exif=exif)
    path = tmp_path / f"photo.{suffix}"
    squares = [crops.centre_crop(path, 16)]
    squares += [crops.random_crop(path, 16, np.random.default_rng(seed)) for seed in range(30)]
    for square in squares:
        assert np.ptp(square.astype(int), axis=1).max() < 40, "rows of an upright image are of one colour"
        assert square[0].mean() >= square[-1].mean() - 40


def test_grey_and_transparent_images_become_rgb(tmp_path):
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for mode in ("L", "LA", "RGBA", "P", "1", "CMYK"):
            suffix = "jpg" if mode == "CMYK" else "png"
            Image.new("RGB", (20, 20), (255, 255, 255)).convert(mode).save(tmp_path / kind / f"{mode}.{suffix}")
        opaque = Image.new("RGB", (20, 20), (255, 255, 255)).convert("P")
        opaque.save(tmp_path / kind / "transparent.png", transparency=bytes(range(256)))  # which Pillow warns of
    stream = data.stream(f"folder:{tmp_path}", image_size=SIZE)
    for images, _ in [*stream.train_batches(0, 4), *stream.batches("test", 4)]:
        assert images.shape[1:] == (SIZE, SIZE, 3)
        assert images.min() >= 250


@pytest.fixture(scope="module")
def cifar10(cifar10_dir):
    return data.stream("cifar10", image_size=64, data_dir=cifar10_dir)


def test_cifar10_is_scaled_up_with_the_labels_of_load(cifar10, cifar10_dir):
    assert [cifar10.count(split) for split in ("train", "validation", "test")] == [45000, 5000, 10000]
    images, labels = next(cifar10.batches("test", 50))
    expected = tfds.find("cifar10", cifar10_dir).read("test", None)
    np.testing.assert_array_equal(labels, expected.labels[:50])
    for image, small in zip(images[:10], expected.images, strict=False):
        np.testing.assert_allclose(image, middle(Image.fromarray(small), 64), atol=1.01)
    images, labels = next(cifar10.train_batches(0, 100))
    assert images.shape == (100, 64, 64, 3)
    assert set(labels) == set(range(10))


def test_cifar10_validation_holds_every_class_equally_often(cifar10):
    part = cifar10._parts["validation"]
    labels = [part.encoded.read(row)[1] for row in part.rows]
    np.testing.assert_array_equal(np.bincount(labels), [500] * 10)


@pytest.mark.parametrize(
    ("config", "counts"),
    [("plain", [30, 6, 9]), ("sizes", [30, 6, 9]), ("no_test", [27, 3, 6]), ("unlabelled", [27, 3, 6])],
)
def test_a_validation_split_tests_where_no_labelled_test_split_does(shapes_dir, config, counts):
    stream = data.stream(f"rwe_shapes/{config}", image_size=SIZE, data_dir=shapes_dir)
    assert [stream.count(split) for split in ("train", "validation", "test")] == counts
    for split in ("train", "validation", "test"):
        images, labels = collect(stream.batches(split, 4))
        np.testing.assert_array_equal(images[:, 0, 0, 0] // 8 % 3, labels)


def test_a_large_set_is_divided_without_reading_it(shapes_dir, monkeypatch):
    monkeypatch.setattr(tfds, "_labels", None)
    monkeypatch.setattr("rwejax.data.streaming.LABELS_READ", 29)
    stream = data.stream("rwe_shapes/no_test", image_size=SIZE, data_dir=shapes_dir)
    splits = [collect(stream.batches(split, 4))[0][:, 0, 0, 0] // 8 for split in ("train", "validation")]
    assert sorted(np.concatenate(splits)) == list(range(30))


def test_a_broken_set(shapes_dir, tmp_path, capfd):
    shutil.copytree(shapes_dir / "rwe_shapes" / "plain", tmp_path / "rwe_shapes" / "plain")
    stream = data.stream("rwe_shapes/plain", image_size=SIZE, data_dir=tmp_path)
    path = next(tmp_path.rglob("*train.array_record*"))
    os.truncate(path, path.stat().st_size // 2)
    message = refusal(lambda: stream.train_batches(0, 4))
    assert "dataset 'rwe_shapes/plain' in '" in message
    assert "is broken (" in message
    assert capfd.readouterr() == ("", "")


def test_a_dropped_iterator_leaves_no_threads(noise):
    before = set(threading.enumerate())
    batches = data.stream(noise, image_size=SIZE).train_batches(0, 4)
    next(batches)
    assert set(threading.enumerate()) - before
    batches.close()
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) <= before


def test_grain_is_imported_late_and_quietly_and_ctrl_c_ends_at_once(noise):
    program = (
        "import os, signal, sys, rwejax\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "assert 'grain' not in sys.modules\n"
        "stream = rwejax.data.stream(sys.argv[1], image_size=224)\n"
        "for images, labels in stream.train_batches(0, 8):\n"
        "    print(len(labels), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program, noise], capture_output=True, text=True, timeout=60)
    assert time.monotonic() - start < 30
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "8\n"
    lines = done.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "KeyboardInterrupt")
    assert all(line.startswith("  ") for line in lines[1:-1])


def refusal(call):
    with pytest.raises(InputError) as caught:
        list(call())
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digits", {}, "'digits' is held in memory and not streamed: use load"),
        ("imagenette", {}, "'imagenette' is not prepared in .* and there is no network"),
        ("imagenet2012", {}, "'imagenet2012' is not prepared in .* and has to be downloaded by hand"),
        ("no_such_set", {}, "'no_such_set' is unknown: use"),
        ("folder:/nowhere", {}, "'folder:/nowhere' does not exist"),
        (None, {"image_size": 3}, "image_size=3 is out of range: give a size from 4 to 512"),
        (None, {"seed": -1}, "seed=-1 is negative"),
    ],
)
def test_sets_and_options_that_cannot_be_streamed(plain, tmp_path, name, options, message):
    with pytest.raises(InputError, match=message):
        data.stream(name or plain, data_dir=tmp_path, **options)


def test_a_plain_install_names_the_extra(plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "grain", None)  # as if it were not installed
    with pytest.raises(InputError, match=r"the package grain is not installed: pip install 'rwejax\[tfds\]'$"):
        data.stream(plain)


def test_a_folder_of_one_class(tmp_path):
    (tmp_path / "only").mkdir()
    with pytest.raises(InputError, match="only the class folder 'only'"):
        data.stream(f"folder:{tmp_path}")


def test_batches_that_do_not_exist(plain):
    stream = data.stream(plain, image_size=SIZE)
    for call, message in [
        (lambda: stream.train_batches(0, 44), "batch_size=44 is out of range: dataset '.*' has 43 train images"),
        (lambda: stream.train_batches(0, 0), "batch_size=0 is out of range"),
        (lambda: stream.train_batches(-1, 4), "epoch=-1 is negative"),
        (lambda: stream.train_batches(0, 4, start=12), "start=12 is out of range: .* has 11 batches of 4"),
        (lambda: stream.batches("test", 0), "batch_size=0 is not positive"),
        (lambda: stream.batches("dev", 4), "split 'dev' is unknown: use 'train', 'validation', 'test'"),
        (lambda: stream.count("dev"), "split 'dev' is unknown"),
    ]:
        with pytest.raises(InputError, match=message):
            call()


def truncated(path):
    path.write_bytes(path.read_bytes()[:200])


def no_image(path):
    path.write_bytes(b"no image")


def deep(path):
    Image.fromarray(np.full((10, 12), 40000, np.uint16)).save(path)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [(truncated, "is broken or no image"), (no_image, "is broken or no image"), (deep, "does not have 8-bit pixels")],
)
def test_a_broken_image_is_named(image_folder, damage, reason):
    root, _ = image_folder
    stream = data.stream(f"folder:{root}", image_size=SIZE)
    for path in root.glob("*/*.png"):
        damage(path)
    for call in (lambda: stream.train_batches(0, 4), lambda: stream.batches("test", 4)):
        message = refusal(call)
        assert ".png' of dataset 'folder:" in message
        assert reason in message


@pytest.mark.parametrize("batch_size", [4, 20, 30, 43])
def test_the_last_batch_is_filled_with_the_first_images(plain, batch_size):
    stream = data.stream(plain, image_size=SIZE)
    found = numbers(collect(stream.train_batches(2, batch_size))[0])
    assert len(found) == -(-43 // batch_size) * batch_size
    assert sorted(found[:43]) == sorted(numbers(collect(stream.batches("train", 43))[0]))
    np.testing.assert_array_equal(found[43:], found[: len(found) - 43])


@pytest.mark.parametrize(
    ("coloured", "flip", "mirrors"), [(0, None, False), (0, True, True), (1, None, True), (1, False, False)]
)
def test_grey_images_are_not_mirrored_unless_asked_for(tmp_path, coloured, flip, mirrors):
    ramp = np.tile(np.arange(64, dtype=np.uint8), (64, 1))  # brighter to the right
    for number in range(30):
        folder = tmp_path / str(number % 2)
        folder.mkdir(exist_ok=True)
        image = np.stack([ramp, ramp, ramp // 2 if coloured else ramp], axis=-1)
        Image.fromarray(image).save(folder / f"{number}.png")
    stream = data.stream(f"folder:{tmp_path}", image_size=SIZE, flip=flip)
    assert stream.grey != bool(coloured)
    images = collect(stream.train_batches(0, 20))[0][..., 0].astype(int)
    falls = images[:, 0, 0] > images[:, 0, -1]
    assert falls.any() == mirrors
    assert not falls.all()
