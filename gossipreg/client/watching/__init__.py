"""How a registry knows its services: one thread, one connection to the sidecar, and snapshots that it swaps.

    ordered       instances in the order of (node, id)
    state         what a sidecar says of itself, and how much it is believed. Pure
    known         what is known of one service: the rules by which a snapshot follows what a sidecar says. Pure
    waiters       functions that wait for a change of a service
    feed          one service, as the watcher and all threads of the program share it
    conversation  what is asked on one connection, and what the answers change. Bytes to feeds, no socket
    link          the connection of one registry: connects, reads and writes, connects again
    watcher       the thread, and what a fork and the end of the interpreter do to it

Everything that changes a feed runs on the watcher's thread. Programs only read the attribute `snapshot` of a feed.
"""
