"""Sagas in the laboratory: the shipped `gossipreg.sagas` beside the journals of each process, with programs.

    orchestrating  all processes of a world, the programs and the participants
    process        the sagas of one process, as the daemon composes them
    saga_run       a saga as its program wants it, and what the program was told
    program        a program that takes sagas, dies, and asks again
    person         decides by hand about what is stuck
    key_ledger     the books of a participant, with its three rules
    participant    a service: it takes time, refuses, loses answers, crashes
    command_wire   requests and answers as messages of the world
    workload       which sagas and participants there are, drawn from the seed
    observer       what checkers and measurements see
    breaks         ways to break sagas, for the test of the checkers

The checkers are in `simulations/checkers/sagas/`, the scenario is `sagas`.
"""
