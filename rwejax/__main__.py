"""`python -m rwejax` is the command `rwejax`."""

from rwejax.cli.main import run

if __name__ == "__main__":
    run()
