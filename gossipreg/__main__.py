"""`python -m gossipreg` is the command `gossipreg`."""

import sys

from gossipreg.cli import main

sys.exit(main())
