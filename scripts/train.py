"""The command `rwejax train`, from a clone: `python scripts/train.py --help`."""

from rwejax.cli.main import run

if __name__ == "__main__":
    run("train")
