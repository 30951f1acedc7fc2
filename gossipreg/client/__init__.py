"""What a program needs to speak with the sidecar next to it. `Client` is also `gossipreg.Client`.

    connection   Client, Watch, Attachment: the objects that a program holds
    pool         the streams that calls share, for threads and forks
    instance     Instance: one instance of a service
    stream       one connection: requests, answers, bounds of time

It may import errors, model, socket_path and wire.rpc; never the core, trio or anything of cryptography.
"""

from gossipreg.client.connection import Attachment, Client, Watch

__all__ = ["Attachment", "Client", "Watch"]
