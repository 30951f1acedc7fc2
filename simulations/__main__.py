"""`python -m simulations`: see `cli.py`."""

import sys

from simulations.cli import main

if __name__ == "__main__":  # also imported by the workers of a sweep
    sys.exit(main())
