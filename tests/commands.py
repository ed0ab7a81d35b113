"""Scripts as functions of their flags, run in this process."""

import importlib.util
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"


def load(name):
    """The module of a script."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def caller(script, monkeypatch, capfd):
    """A function of flags that runs a script: exit code, standard output and standard error."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", [f"scripts/{Path(script.__file__).name}", *map(str, flags)])
        try:
            code = script.main()
        except SystemExit as stop:
            code = stop.code
        return code, *capfd.readouterr()

    return call
