"""Runs the command line as `python -m losskit`."""

from losskit.cli.main import main

if __name__ == "__main__":
    main()
