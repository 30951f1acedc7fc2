"""`scripts/bench` (`bench.py`) and `scripts/bench-dns` (`dns.py`): measure real processes.

rows.py, sidecar_rows.py     what is done to a cluster, and what is measured
run.py                       what a row is given, and what it returns
cluster.py                   what any cluster has to offer to a row
sidecar_cluster.py, peers.py, serf.py, memberlist.py    the kinds of cluster
views.py                     what each member knows of the others, and since when
stop.py                      a bench that is stopped leaves nothing behind
"""
