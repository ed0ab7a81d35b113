"""A host whose command is killed in the midst of a search: `python -m tests.runtime.dying_host CALL FLAGS`.

CALL counts the populations; at that one the command that was started is sent a SIGKILL.
"""

import importlib
import os
import signal
import sys
import time

from tests.cli import commands


def search():
    """What the command does, with an end to it."""
    objectives = importlib.import_module("rwejax.evaluate.scoring").PopulationScorer
    last, evaluate, calls = int(sys.argv[1]), objectives.__call__, []

    def call(self, key, genomes):
        calls.append(genomes)
        if len(calls) == last:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(60)  # it is the command's end that ends this process
        return evaluate(self, key, genomes)

    objectives.__call__ = call
    sys.argv[:2] = ["scripts/search.py"]
    return commands.load("search").search_here(sys.argv[1:])


if __name__ == "__main__":
    from rwejax.runtime import launch

    script = commands.load("search")
    launch.launch(script.parse(sys.argv[2:]).hosts, search)
