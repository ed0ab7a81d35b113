import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def cache_home(tmp_path_factory, monkeypatch):
    """Every test has a cache of its own, and no test downloads."""
    home = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr("rwejax.data.tfds_download.reachable", lambda url: False)
    return home


@pytest.fixture(scope="session")
def cifar10_dir():
    root = os.environ.get("TFDS_DATA_DIR")
    if not root or not (Path(root) / "cifar10").is_dir():
        pytest.skip("TFDS_DATA_DIR names no folder that holds cifar10 prepared")
    return root


@pytest.fixture
def image_folder(tmp_path):
    """Three classes of ten noise images, 12 wide and 10 high; gives the folder, and the pixels by class and file."""
    rng = np.random.default_rng(0)
    root = tmp_path / "pictures"
    pixels = {}
    for kind in ("apple", "cherry", "bean"):
        (root / kind).mkdir(parents=True)
        for i in range(10):
            pixels[kind, f"{i}.png"] = rng.integers(0, 256, (10, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels[kind, f"{i}.png"]).save(root / kind / f"{i}.png")
    return root, pixels


@pytest.fixture(scope="session")
def shapes():
    """A builder of TensorFlow Datasets that makes its images up; none of its configurations downloads anything."""
    import tensorflow_datasets as tfds

    class RweShapes(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")
        BUILDER_CONFIGS = [  # noqa: RUF012
            tfds.core.BuilderConfig(name=name) for name in ("plain", "no_test", "sizes", "unlabelled", "tables", "deep")
        ]

        def _info(self):
            grey = tfds.features.Image(shape=(None, None, 1) if self.builder_config.name == "sizes" else (8, 8, 1))
            features = {"image": grey, "label": tfds.features.ClassLabel(num_classes=3)}
            if self.builder_config.name == "tables":
                features = {"row": tfds.features.Text()}
            if self.builder_config.name == "deep":
                features["image"] = tfds.features.Image(shape=(8, 8, 1), dtype=np.uint16)
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):
            splits = {"train": self._generate_examples(30), "validation": self._generate_examples(6)}
            if self.builder_config.name != "no_test":
                splits["test"] = self._generate_examples(9, hide=self.builder_config.name == "unlabelled")
            return splits

        def _generate_examples(self, count, hide=False):
            for i in range(count):
                if self.builder_config.name == "tables":
                    yield i, {"row": str(i)}
                    continue
                side = 8 + i % 2 * (self.builder_config.name == "sizes")
                buffer = io.BytesIO()
                Image.fromarray(np.full((side, side), 8 * i, np.uint8)).save(buffer, "PNG")
                buffer.seek(0)
                yield i, {"image": buffer, "label": -1 if hide else i % 3}

    return RweShapes


@pytest.fixture(scope="session")
def shapes_dir(shapes, tmp_path_factory):
    """All configurations of `rwe_shapes`, prepared."""
    root = tmp_path_factory.mktemp("tfds")
    for config in shapes.builder_configs:
        shapes(config=config, data_dir=root, file_format="array_record").download_and_prepare()
    return root
