"""The commands of a checkout, and what they run. Nothing of it is installed with the package.

A command is a shell file without an ending, such as `scripts/bench`; the Python that it runs is in a folder:

    benchmarks/   scripts/bench, scripts/bench-dns
    soaking/      scripts/soak
    checks/       scripts/check
    tools/        what the commands, and the tests with real processes, share

`setup.sh` makes the .venv for all of them.
"""
