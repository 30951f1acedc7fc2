"""`python -m gossipreg.cli` is the command `gossipreg`."""

import sys

from gossipreg.cli import main

sys.exit(main())
