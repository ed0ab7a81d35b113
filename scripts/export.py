"""The command `rwejax export`, from a clone: `python scripts/export.py --help`."""

from rwejax.cli.main import run

if __name__ == "__main__":
    run("export")
