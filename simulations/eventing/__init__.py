"""Events in the laboratory: the shipped `gossipreg.events` beside the journals of each process, with programs.

    eventing     all processes of a world, what was published, and what became of it
    process      the events of one process, as the daemon composes them
    publisher    a program that publishes until it knows what became of each event
    subscriber   a program that is an instance of a group: it takes time, fails, hangs, crashes
    person       somebody who retries and drops dead letters
    workload     which programs there are, drawn from the seed
    observer     what checkers and measurements see
    breaks       ways to break events, for the test of the checkers

The checkers are in `simulations/checkers/events/`, the scenario is `events`.
"""
