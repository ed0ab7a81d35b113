"""Images and labels: the embedded digits, any TensorFlow Datasets set, or a folder, table or source of one's own.

`load` brings a set into memory, at one size, to search with. What it reads is decoded once, kept on disk as plain
`.npy` files, and drawn from there. `stream` decodes batch by batch what does not fit in memory, to train with.
"""

from rwejax.data.dataset import Dataset, load, load_named, settle
from rwejax.data.images import Split
from rwejax.data.registry import register_source
from rwejax.data.sources import Encoded, Source
from rwejax.data.streaming import Stream, stream

__all__ = [
    "Dataset",
    "Encoded",
    "Source",
    "Split",
    "Stream",
    "load",
    "load_named",
    "register_source",
    "settle",
    "stream",
]
