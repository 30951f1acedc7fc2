"""Events in a program: publish them, and have them handled.

    published     Published: what the sidecar answers to a publish
    publishing    one publish: its parameters, and what each failed attempt says of its outcome. No I/O
    publisher     publishes for threads
    event         Event: as a handler gets it; Reject, Retry: what a handler may raise
    inheriting    the event that is handled right now, and what a publish inherits of it
    settings      the parameters of a subscription, checked
    key_turns     one event of a key after the other, also across connections. No I/O
    settling      what was said of events and goes to the sidecar, gathered. No I/O
    held_events   the events of one connection that are not settled, and when to renew them. No I/O
    pump          the thread of one subscription, its connection and its reconnecting
    bell          wakes a thread that waits in `poll`
    handlers      the threads of one subscription, which run its handler
    subscription  Subscription, EventIterator: what programs hold
    running       the subscriptions of the process: forks, and the end of the program
    of_registry   all of it for one registry
    aio           the same for asyncio and trio
    aio_publisher publishes for asyncio and trio

It is loaded when a program publishes or subscribes for the first time.
"""
