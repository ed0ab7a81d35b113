"""The command `rwejax correlate`, from a clone: `python scripts/correlate.py --help`."""

from rwejax.cli.main import run

if __name__ == "__main__":
    run("correlate")
