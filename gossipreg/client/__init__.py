"""What a program needs to speak with the sidecar next to it. `Client` is also `gossipreg.Client`.

May import errors, model, socket_path, wire.rpc and wire.table; never the core, trio or anything of cryptography.
"""

from gossipreg.client.connection import Client, Watch

__all__ = ["Client", "Watch"]
