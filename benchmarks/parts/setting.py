"""What the benchmarks against PyTorch share, as far as it needs no PyTorch: their setting, and how results are put."""

import importlib.util
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from rwejax.config import SIZES

QUIET_LOAD = 0.3


@dataclass(frozen=True)
class Setting:
    """Networks, images and repetitions, the same for both sides."""

    space: Literal["macro", "micro"] = "macro"
    """Search space."""
    nodes: int = 6
    """Nodes of a phase, in the macro space."""
    layers: int = 5
    """Cells of a network, in the micro space."""
    channels: int | None = None
    """Channels of the first phase or cell; by default a search's: macro 16, micro 8."""
    dataset: str = "cifar10"
    """A set of TensorFlow Datasets, or digits, which is always there."""
    data_dir: Path | None = None
    """Where the sets lie; by default TFDS_DATA_DIR."""
    image_size: int | None = None
    """Height and width to resize to; by default the dataset's."""
    train_images: int = 2000
    """Images that the head is fitted on."""
    validation_images: int = 1000
    """Images that the validation error is taken on."""
    repetitions: int = 5
    """Times that each side is timed, in turns."""
    seed: int = 0
    """Draws the genomes, the kernels and the images."""
    output: Path | None = None
    """JSON file for the results."""

    @property
    def sizes(self) -> dict[str, int]:
        """Sizes of the networks, as options of the space."""
        depth = {"nodes": self.nodes} if self.space == "macro" else {"layers": self.layers}
        return {**depth, "channels": SIZES[self.space]["channels"] if self.channels is None else self.channels}

    @property
    def recorded(self) -> dict[str, Any]:
        """The setting as a result states it, without the sizes that the space has not."""
        left_out = "data_dir", "output", "nodes", "layers", "channels"
        return {name: value for name, value in asdict(self).items() if name not in left_out} | self.sizes

    @property
    def refusal(self) -> str | None:
        """Why nothing can be measured, or None."""
        if importlib.util.find_spec("torch") is None:
            return "PyTorch is missing, the side to compare with: pip install 'rwejax[bench]'"
        if self.output is not None and not self.output.absolute().parent.is_dir():
            return f"output {str(self.output)!r} lies in a folder that does not exist: make it first"
        return None


def title(setting: dict[str, Any], image_shape: tuple[int, int, int]) -> str:
    """Networks and images of a recorded setting, in one line."""
    depth = f"K = {setting['nodes']}" if setting["space"] == "macro" else f"L = {setting['layers']}"
    height, width, _ = image_shape
    return (
        f"{setting['space']}, {depth}, C = {setting['channels']}, {setting['train_images']} + "
        f"{setting['validation_images']} images of {setting['dataset']}, {height} x {width}"
    )


def describe_machine(result: dict[str, Any]) -> list[str]:
    """What a result was measured on, and whether that was quiet, a sentence a line."""
    machine = result["machine"]
    lines = [
        ", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        f"{machine['cpu']}, {machine['cores']} cores, matrix product {machine['gemm_gflops_peak']:.0f} GFLOP/s "
        f"({min(machine['gemm_gflops_before_each_turn']):.0f} before the worst turn), "
        f"load {machine['load_before']:.1f} before the start",
    ]
    if "torch" in result:
        lines.append("PyTorch: {form}, batches of {batch}, {streams} at a time".format(**result["torch"]))
    if machine["load_before"] > QUIET_LOAD:
        lines.append("The machine was busy before the start: PyTorch suffers from that more than rwejax does.")
    return lines
