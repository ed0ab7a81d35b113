"""Training-free neural architecture search in JAX by random-weight evaluation.

What the package offers is listed, with its types, in `__init__.pyi`. Each name is imported when it is first used, so
that `import rwejax` is quick, starts nothing, and changes no setting of JAX.
"""

import lazy_loader

from rwejax.version import __version__ as __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
