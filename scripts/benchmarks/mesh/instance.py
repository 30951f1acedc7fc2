"""An instance of the common service, registered for as long as its process lives.

python -m scripts.benchmarks.mesh.instance SOCKET PORT
"""

import sys
import threading

from gossipreg.client import Client
from scripts.benchmarks.mesh.stream_load import COMMON
from scripts.checks.mesh.backend import ServedGrpc


def main(socket: str, port: int) -> None:
    served = ServedGrpc(str(port), f"127.0.0.1:{port}")  # it ends with its last reference
    with Client(socket) as client, client.attach(name=COMMON, id=f"i-{port}", port=port, address="127.0.0.1"):
        print("ready", flush=True)
        threading.Event().wait()
    served.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
