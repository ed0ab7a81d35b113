"""Images and labels in memory: the embedded digits, any TensorFlow Datasets set, or a folder of one's own.

`load` is the only way in. What it reads is decoded once, kept on disk as plain `.npy` files, and drawn from there.
"""

from rwejax.data.dataset import Dataset, load

__all__ = ["Dataset", "load"]
