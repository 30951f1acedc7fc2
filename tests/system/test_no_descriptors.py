"""A sidecar whose descriptors are all taken says so, goes on, and takes connections again once some are closed."""

import http.client
import socket
from contextlib import ExitStack

from scripts.tools.machine import usage
from scripts.tools.sidecars import COMMAND, Sidecars
from scripts.tools.wait import BOUND_S, wait_for

DESCRIPTORS = 64
FEW = ["sh", "-c", f'ulimit -n {DESCRIPTORS}; exec "$@"', "sh", *COMMAND]


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=BOUND_S)


def test_a_sidecar_without_descriptors_says_so_and_recovers(cluster: Sidecars) -> None:
    """A connection to its gossip port would have it load journals, and nothing can be read from the disk."""
    one = cluster.start("one", "--http", "127.0.0.1:0", command=FEW).wait_ready()
    other = cluster.start("other").wait_ready()
    wait_for(lambda: one.alive() == other.alive() == {"one", "other"})
    before = usage(one)["descriptors"]
    web, gossip = one.port("http"), int(one.gossip.rpartition(":")[2])
    kept = http.client.HTTPConnection("127.0.0.1", web, timeout=BOUND_S)
    kept.connect()
    with ExitStack() as held:
        for _ in range(DESCRIPTORS):
            held.enter_context(connected(web))
        one.wait_logged("error cannot_accept message=")
        held.enter_context(connected(gossip))
        kept.request("PUT", "/v1/agent/service/register", '{"Name": "web", "Port": 80}')
        assert kept.getresponse().read() == b""
        wait_for(lambda: len(other.lookup("web")) == 1)
        assert other.alive() == {"one", "other"}
    told = f"this sidecar has as many files and connections open as it may, {DESCRIPTORS}: clients and other"
    wait_for(lambda: any(each["message"].startswith(told) for each in one.call("info")["troubles"]))
    kept.close()
    wait_for(lambda: usage(one)["descriptors"] <= before + 8)
    assert one.log.read_text().count("error cannot_accept") == 1
    assert one.alive() == {"one", "other"}
