"""How the user has called the command line, for sentences that say what to type next."""

import shlex
import sys
from pathlib import Path


def invocation(command: str, *words: object) -> str:
    """A command line to copy, which calls rwejax the way the user has.

    Args:
        command: the subcommand.
        words: what follows it; each is quoted for a shell.

    Returns:
        One that begins with `rwejax`, `python -m rwejax`, or `python scripts/` and the script of the subcommand.
    """
    called = Path(sys.argv[0])
    if called.parent.name == "scripts" and called.suffix == ".py":
        script = called.with_name(f"{command.replace('-', '_')}.py")
        start = f"python {shlex.quote(str(script))}"
    else:
        start = f"{'python -m rwejax' if called.name == '__main__.py' else 'rwejax'} {command}"
    return " ".join([start, *(shlex.quote(str(word)) for word in words)])
