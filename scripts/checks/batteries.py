"""The same changes behind every resolver and proxy, and how soon each shows them.

A service is found, one of its instances goes, one moves, a new name is registered, and 60 instances arrive. The time
until a change is seen is the possible age of an answer.
"""

import http.client
import http.server
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from scripts.checks.fronts import Front, running
from scripts.tools.programs import free_port
from scripts.tools.sidecars import Sidecar
from scripts.tools.wait import wait_for

WEB = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
MOVED = "127.0.1.9"
MANY = tuple(f"127.0.2.{number}" for number in range(1, 61))
GIVE_UP_S = 20.0
POLL_S = 0.05
TIMES = 3
"""How often each change is made; the slowest counts."""


@dataclass
class Row:
    front: str
    ttl_s: int | None = None
    additionals: str = ""
    many: int | None = None
    found_s: float | None = None
    gone_s: float | None = None
    moved_s: float | None = None
    new_s: float | None = None
    faults: list[str] = field(default_factory=list)
    missing: str = ""


def check(front: Front, one: Sidecar, folder: Path, ports: dict[str, int], row: Row) -> None:
    """Run the battery on this front, and note in the row what it showed. Raises as `running` does, and AssertionError
    where a change is never seen."""
    folder.mkdir()
    (_check_resolver if front.kind == "dns" else _check_proxy)(front, one, folder, ports, row)
    for what in ("found_s", "gone_s", "moved_s", "new_s"):
        seconds = getattr(row, what)
        if seconds is not None and seconds > front.bound_s:
            row.faults.append(f"{what} is {seconds:.1f}, at most {front.bound_s} is documented")
    if row.many != len(MANY):
        row.faults.append(f"{row.many} of {len(MANY)} instances arrived")


# -- resolvers ---------------------------------------------------------------------------------------------------------


def _check_resolver(front: Front, one: Sidecar, folder: Path, ports: dict[str, int], row: Row) -> None:
    with running(front, folder, ports) as port:

        def addresses(name: str) -> set[str]:
            return {item.to_text() for item in _records(_ask(port, f"{name}.service.consul", "A"), "A")}

        def shows(name: str, wanted: Iterable[str]) -> Callable[[], bool]:
            return lambda: addresses(name) == set(wanted)

        _seen(lambda: _ask(port, "none.service.consul", "A").rcode() == dns.rcode.NXDOMAIN)
        _register(one, "web", WEB, 80)
        row.found_s = _seen(shows("web", WEB))
        row.ttl_s = max(rrset.ttl for rrset in _ask(port, "web.service.consul", "A").answer)
        full = _ask(port, "web.service.consul", "SRV")
        row.additionals = "yes" if len(_records(full, "A")) == len(WEB) else "no"
        row.gone_s = row.moved_s = row.new_s = 0.0
        for number in range(TIMES):
            one.call("deregister", id=f"web-{WEB[0]}")
            row.gone_s = max(row.gone_s, _seen(shows("web", WEB[1:])))
            _register(one, "web", [MOVED], 80, id=f"web-{WEB[1]}")
            row.moved_s = max(row.moved_s, _seen(shows("web", (MOVED, WEB[2]))))
            _register(one, "web", WEB, 80)
            _seen(shows("web", WEB))
            name = f"new{number}"
            assert not addresses(name), "there was none"
            _register(one, name, WEB[:1], 80)
            row.new_s = max(row.new_s, _seen(shows(name, WEB[:1])))
        _register(one, "many", MANY, 80)
        _seen(shows("many", MANY), "all 60 addresses arrive")
        row.many = len(_records(_ask(port, "_many._tcp.service.consul", "SRV"), "SRV"))


def _ask(port: int, name: str, type: str) -> dns.message.Message:
    query = dns.message.make_query(name, type, use_edns=0, payload=1232)
    try:
        reply, _ = dns.query.udp_with_fallback(query, "127.0.0.1", timeout=5, port=port)
    except dns.exception.Timeout:
        return dns.message.make_response(query)
    return reply


def _records(message: dns.message.Message, type: str) -> list[dns.rdata.Rdata]:
    wanted = dns.rdatatype.from_text(type)
    sections = [*message.answer, *(message.additional if type == "A" else [])]
    return [item for rrset in sections if rrset.rdtype == wanted for item in rrset]


def _check_proxy(front: Front, one: Sidecar, folder: Path, ports: dict[str, int], row: Row) -> None:
    backend = ports["backend"]
    with running(front, folder, ports) as port:

        def used(times: int = 12) -> set[str]:
            """The backends that this number of requests reached; the status (`502`) for a request that reached none."""
            return {_get(port) for _ in range(times)}

        assert all(answer.startswith("5") for answer in used(2)), "there is no instance yet"
        _register(one, "web", WEB, backend)
        row.new_s = _seen(lambda: used() == set(WEB))
        row.found_s = row.new_s
        row.gone_s = row.moved_s = 0.0
        for _ in range(TIMES):
            one.call("deregister", id=f"web-{WEB[0]}")
            row.gone_s = max(row.gone_s, _seen(lambda: used() == set(WEB[1:])))
            _register(one, "web", [MOVED], backend, id=f"web-{WEB[1]}")
            row.moved_s = max(row.moved_s, _seen(lambda: used() == {MOVED, WEB[2]}))
            _register(one, "web", WEB, backend)
            _seen(lambda: used() == set(WEB))
    (folder / "many").mkdir()
    _register(one, "many", MANY, backend)
    with running(front, folder / "many", ports, name="many") as port:
        seen: set[str] = set()

        def all_seen() -> bool:
            seen.update(_get(port) for _ in range(60))
            return seen >= set(MANY)

        with suppress(AssertionError):  # the row has how many
            _seen(all_seen)
        row.many = len(seen & set(MANY))


def _get(port: int) -> str:
    """The backend's answer, which is its address, or the status that the proxy gave."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        reply = connection.getresponse()
        body = reply.read().decode()
    except OSError:
        return "no answer"
    finally:
        connection.close()
    return body if reply.status == 200 else str(reply.status)


class _Backend(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.connection.getsockname()[0].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_OPTIONS = do_GET  # noqa: N815  # the names that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def backends() -> Iterator[int]:
    """Serve on each address of the instances, answering with that address; yields their common port."""
    port = free_port()
    servers = [http.server.ThreadingHTTPServer((host, port), _Backend) for host in (*WEB, MOVED, *MANY)]
    for one in servers:
        threading.Thread(target=one.serve_forever, args=(0.2,), daemon=True).start()
    try:
        yield port
    finally:
        for one in servers:
            one.shutdown()
            one.server_close()


def _register(one: Sidecar, name: str, hosts: Iterable[str], port: int, *, id: str = "") -> None:
    for host in hosts:
        one.call("register", name=name, port=port, address=host, id=id or f"{name}-{host}")


def _seen(condition: Callable[[], bool], what: str = "the change is seen") -> float:
    """Wait until the condition holds; returns the seconds. Raises AssertionError if it never does."""
    return wait_for(condition, GIVE_UP_S, POLL_S, what=what)
