"""The command `rwejax correlate-runs`, from a clone: `python scripts/correlate_runs.py --help`."""

from rwejax.cli.main import run

if __name__ == "__main__":
    run("correlate-runs")
