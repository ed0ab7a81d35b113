"""The command `rwejax search`, from a clone: `python scripts/search.py --help`."""

from rwejax.cli.main import run

if __name__ == "__main__":
    run("search")
