"""The row `events` of `scripts/bench`: events a second and the latency of one event, of
gossipreg and of other programs for events.

The files from the bottom up:

    records.py           which event was acknowledged or handled, and when; what is computed of it
    client_side.py       what the client programs share: when they begin, what they write
    gossipreg_clients.py publishers and a handler of gossipreg
    redis_clients.py     publishers and a handler of Redis Streams
    nats_clients.py      publishers and a handler of NATS JetStream
    peer.py              what is measured of any program for events, by its client programs
    gossipreg_peer.py    gossipreg: three sidecars
    redis_peer.py        Redis: a master and a replica
    nats_peer.py         NATS: three servers
    row.py               the rounds, and the lines of the table

The client programs run in a virtual environment of their own, with packages that gossipreg does not need, and import
nothing but `client_side.py` and `records.py`.
"""
