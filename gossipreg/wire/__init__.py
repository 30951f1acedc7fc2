"""Bytes <-> values, pure. `messages.py` is the specification of the datagrams, `rpc.py` of the local socket."""
