"""`scripts/check`: checks that take longer than the test suite may.

    mutations.py, mutations_table.py   break the core on purpose and see which test fails
"""
