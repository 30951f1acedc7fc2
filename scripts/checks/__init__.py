"""`scripts/check`: checks that take longer than the test suite may.

Each is a file of its own:

    mutations.py   break the core on purpose and see which test fails
"""
