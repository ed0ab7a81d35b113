"""The reading of weights in an exported `network.py`, which gets a copy of this source."""

from flax.traverse_util import unflatten_dict
from safetensors.flax import load_file


def load(path: str) -> dict:
    """The variables in a safetensors file: the collections `params` and `batch_stats`."""
    return unflatten_dict(load_file(path), sep="/")
