"""`scripts/bench` (`bench.py`) and `scripts/bench-dns` (`dns.py`): measure real processes.

The files from the bottom up:

    stop.py              a bench that is stopped leaves nothing behind
    views.py             what each member knows of the others, and since when
    cluster.py           what every kind of cluster can do
    sidecar_cluster.py   the cluster of sidecars
    peers.py             clusters of other programs: serf.py, memberlist.py
    run.py               what a row is given, and what it returns
    rows.py              what is done to any cluster, and what is measured
    sidecar_rows.py      the same for a cluster of sidecars alone
    events/              the row `events`: other programs for events, their servers and clients
    sagas/               the row `sagas`: the same for sagas
    mesh/                the row `mesh`: control planes of xDS, their streams and clients
    against/             `scripts/bench --against REVISION`: this tree and an older one, in turn
    bench.py             the command: options, the table

`dns.py` needs none of them.
"""
