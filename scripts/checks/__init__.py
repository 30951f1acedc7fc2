"""`scripts/check` (`check.py`): checks that take longer than the test suite may.

Each is a file of its own:

    fuzzing.py     everything that reads what others wrote
    client/        programs that use the client as hard as they can
    flood.py       lookups under hostile datagrams
    waiting.py     the memory and the delay of many blocked HTTP questions
    openapi.py     the HTTP gateway against its own schema
    resolvers.py   the configurations of docs/dns.md: fronts.py, front_configs.py, batteries.py
    mutations.py   break the core on purpose and see which test fails
    ballots.py     the models of ballots and sagas (simulations/ballots/), searched with spin
"""
