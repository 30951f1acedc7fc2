"""What a program needs to speak with the sidecar next to it. `Client` is also `gossipreg.Client`.

    connection   Client, Watch, Attachment: what a program holds
    pool         which stream serves which call, of which thread and process
    stream       one connection: requests, answers, bounds of time

May import errors, model, socket_path and wire.rpc; never the core, trio or anything of cryptography.
"""

from gossipreg.client.connection import Attachment, Client, Watch

__all__ = ["Attachment", "Client", "Watch"]
