"""What a kind of device is given at once. All that depends on it is chosen here, so that a device need not be there."""

from dataclasses import dataclass

import jax

from rwejax.runtime.devices import memory


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device, and what of a population and of its images it is given at once.

    Attributes:
        platform: as JAX names it: "cpu", "gpu" or "tpu".
        name: the device's own.
        memory: bytes that JAX may give to arrays there.
        shared: whether that is the machine's memory, which all of its devices share with whatever else it runs.
    """

    platform: str
    name: str
    memory: int
    shared: bool = False

    @property
    def chunk_sizes(self) -> tuple[int, ...]:
        """Rows that are computed at once, descending: a CPU's cache holds one map, an accelerator is idle with one.

        Each size is compiled, which takes a TPU's compiler minutes, and saves a GPU launches and padding.
        """
        return {"cpu": (1,), "tpu": (4,)}.get(self.platform, (12, 3))

    @property
    def heads_at_once(self) -> int:
        """Networks whose heads are fitted at once: one fills a CPU's core, and leaves most of an accelerator idle."""
        return 1 if self.platform == "cpu" else 8

    @property
    def codes_at_once(self) -> int:
        """Codes of ReLUs that are compared at once: a GPU waits for its host at each turn of a loop."""
        return 1 if self.platform == "cpu" else 8

    @property
    def precision(self) -> str:
        """Of networks that are only ranked: what the device computes fastest, and what leaves their order as it is."""
        return {"gpu": "tensorfloat32", "tpu": "bfloat16"}.get(self.platform, "float32")

    def images_at_once(self, map_bytes: int) -> int:
        """Images that the device takes through the networks at once, after the calibration images, if not all.

        Args:
            map_bytes: of an image's largest feature map.
        """
        return max(8, 2**21 // map_bytes) if self.platform == "cpu" else 1024

    def map_memory(self, devices: int) -> float:
        """Bytes that the feature maps of a program may take, on so many devices together.

        Args:
            devices: of this kind.
        """
        if self.shared:
            return self.memory / 3
        # Beside the maps a TPU has copies of them in other layouts, which take as much again.
        return self.memory * devices / (3 if self.platform == "tpu" else 2)


def kind_of(device: jax.Device) -> DeviceKind:
    """The kind of a device that is there.

    Args:
        device: of this host. Where it does not say how much memory it has, as a CPU, it has the machine's.
    """
    own = (device.memory_stats() or {}).get("bytes_limit", 0)
    return DeviceKind(device.platform, device.device_kind, own or memory(), shared=not own)
