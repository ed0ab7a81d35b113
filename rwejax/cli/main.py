"""The command `rwejax`: finds the subcommand, runs it, and ends the process.

Only the module of the subcommand is imported, and none of them imports JAX before there is work: help is quick.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from rwejax.runtime import standard_output
from rwejax.runtime.signals import exit_code, leave, outlast_exit

COMMANDS = {
    "search": "Search for neural architectures without training them.",
    "train": "Train a network that a search has found.",
    "export": "Write a trained network so that nobody needs rwejax to use it.",
    "predict": "Say what images show, by a trained network.",
    "draw": "Draw a network: its phases or cells, and what each operation costs.",
    "report": "Write what runs have found as a page for a browser.",
    "status": "Say how far searches and trainings are.",
    "compare": "Compare searches: hypervolume over evaluations, and fronts.",
    "correlate": "Rank-correlate estimators with the accuracies of trained networks.",
    "correlate-runs": "Rank-correlate what searches have minimised with the accuracies of trained networks.",
}
"""The subcommands, each a module of `rwejax.cli`, and what they do."""


def run(command: str | None = None) -> NoReturn:
    """Run the command line and end the process with its exit code.

    Args:
        command: the subcommand; None: the first word of the command line.
    """
    outlast_exit()
    standard_output.prepare()
    words = sys.argv[1:] if command is None else [command, *sys.argv[1:]]
    leave(exit_code(lambda: main(words)))


def main(words: Sequence[str]) -> int:
    """Run a subcommand.

    Args:
        words: its name and its flags.

    Returns:
        The exit code.

    Raises:
        InputError: something that the user gave cannot be used.
        SystemExit: the flags are wrong, or ask for help.
    """
    if words and words[0] in COMMANDS:
        module = importlib.import_module(f"rwejax.cli.{words[0].replace('-', '_')}")
        return int(module.main(list(words[1:])))
    import tyro  # after signals are handled, as all that takes a while

    described = {name: _described(text) for name, text in COMMANDS.items()}
    text = "Neural architecture search in JAX without training. `rwejax COMMAND --help` lists a command's flags."
    tyro.extras.subcommand_cli_from_dict(described, prog="rwejax", description=text, args=list(words))
    return 0


def _described(text: str) -> Callable[[], None]:
    def command() -> None:
        pass

    command.__doc__ = text
    return command
