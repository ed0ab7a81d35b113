"""Commands as functions of their flags, run in this process."""

import importlib
import sys

from rwejax.cli.main import main
from rwejax.runtime.signals import exit_code


def load(name):
    """The module of a command."""
    return importlib.import_module(f"rwejax.cli.{name}")


def caller(command, monkeypatch, capfd):
    """A function of flags that runs the script of a command: exit code, standard output and standard error."""
    name = command.__name__.rpartition(".")[2]
    # Pages take a second each, and have tests of their own.
    monkeypatch.setattr("rwejax.reporting.from_run.write_report", lambda folder, path, **_: path.write_text("a page"))

    def call(*flags):
        words = [str(flag) for flag in flags]
        monkeypatch.setattr(sys, "argv", [f"scripts/{name}.py", *words])
        try:
            code = exit_code(lambda: main([name.replace("_", "-"), *words]))
        except SystemExit as stop:
            code = stop.code
        return code, *capfd.readouterr()

    return call
