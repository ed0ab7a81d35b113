"""What the package shows of itself."""

import importlib
import pkgutil
import types

import rwejax


def packages():
    yield rwejax
    for found in pkgutil.walk_packages(rwejax.__path__, "rwejax."):
        if found.ispkg:
            yield importlib.import_module(found.name)


def test_no_public_name_hides_a_module():
    """`import rwejax.x` must give the module x, whatever else is called x."""
    hidden = []
    for package in packages():
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if found.name == "rwejax.__main__":
                continue
            importlib.import_module(found.name)
            if not isinstance(getattr(package, found.name.rpartition(".")[2]), types.ModuleType):
                hidden.append(found.name)
    assert hidden == []


def test_every_public_name_is_there():
    assert {name for name in rwejax.__all__ if getattr(rwejax, name, None) is None} == set()
    assert {"search", "train", "export", "correlate", "NSGA2", "RandomWeightEvaluator"} <= set(rwejax.__all__)
