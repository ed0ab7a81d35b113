"""What the benchmarks are told: images, one space's networks, and where the results go."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rwejax import data, spaces


def search_sizes(space: str) -> dict[str, int]:
    """The sizes of a space's networks in a search."""
    return dict(spaces.get_class(space).proxy_sizes)


@dataclass(frozen=True)
class Setting:
    """Images, seed and output."""

    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int | None = None
    """Height and width to resize to, in pixels; by default the dataset's."""
    train_images: int = 500
    """Images that the head is fitted on."""
    validation_images: int = 250
    """Images that the validation error is taken on."""
    seed: int = 0
    """Draws the genomes, the images and the weights."""
    output: Path | None = None
    """JSON file for the results; a figure, where one is drawn, goes beside it."""

    @property
    def recorded(self) -> dict[str, Any]:
        """The setting as a result states it, without the places of files."""
        places = "data_dir", "output", "truth", "parts"
        return {name: value for name, value in asdict(self).items() if name not in places}

    def load(self, space: str, sizes: dict[str, int]) -> tuple[data.Dataset, spaces.Space]:
        """The images, and a space of networks for them.

        Raises:
            InputError: the dataset, the space or a size cannot be used.
        """
        dataset = data.load_named(self)
        return dataset, spaces.get(space, input_shape=dataset.image_shape, classes=dataset.classes, **sizes)


@dataclass(frozen=True)
class NetworkSetting(Setting):
    """The same with networks, macro or micro."""

    space: Literal["macro", "micro"] = "macro"
    """Search space."""
    nodes: int = 6
    """Nodes of a phase, in the macro space."""
    layers: int = 5
    """Cells of a network, in the micro space."""
    channels: int | None = None
    """Channels of the first phase or cell; by default a search's: macro 16, micro 8."""

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        depth = {"nodes": self.nodes} if self.space == "macro" else {"layers": self.layers}
        channels = search_sizes(self.space)["channels"] if self.channels is None else self.channels
        return {**depth, "channels": channels}

    @property
    def recorded(self) -> dict[str, Any]:
        """The setting as a result states it, without the sizes that the space has not."""
        left_out = "nodes", "layers", "channels"
        return {name: value for name, value in super().recorded.items() if name not in left_out} | self.sizes


@dataclass(frozen=True)
class TrainingSetting(NetworkSetting):
    """How networks of a space are trained."""

    nodes: int = 4
    """Nodes of a phase, in the macro space."""
    channels: int | None = 8
    """Channels of the first phase or cell."""
    trainings: int = 2
    """Trainings of each network, from other weights and in another order of the images."""
    epochs: int = 12
    """Epochs of a training."""
    train_images: int = 5000
    """Images that the networks are trained on."""
    validation_images: int = 2000
    """Images that their accuracy is taken on, which no training sees."""
    batch: int = 64
    """Images of a step."""
    learning_rate: float = 0.05
    """At the start of a cosine that ends at 0."""
    image_size: int | None = 16
    """Height and width to resize to, in pixels."""
    seed: int = 0
    """Draws the networks, the images, the weights and the order."""


def title(setting: dict[str, Any], image_shape: tuple[int, int, int]) -> str:
    """Networks and images of a recorded setting, in one line."""
    depth = f"K = {setting['nodes']}" if setting["space"] == "macro" else f"L = {setting['layers']}"
    height, width, _ = image_shape
    return (
        f"{setting['space']}, {depth}, C = {setting['channels']}, {setting['train_images']} + "
        f"{setting['validation_images']} images of {setting['dataset']}, {height} x {width}"
    )
