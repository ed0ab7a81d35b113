"""WHAT a genome is worth: features, heads and the scores that rank architectures."""

import lazy_loader

# Each is imported when it is asked for: evosax's problems take a second, and a search has no use for them.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
