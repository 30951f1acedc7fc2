"""What reads a stranger's bytes, each as a function of bytes that raises only where the code is wrong.

The same targets are run by `scripts/check --fuzz` (coverage-guided, for minutes) and by `test_fuzz.py` (a few seconds,
with all tests). The corpus beside them holds a few good inputs for each, and each input that once failed.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gossipreg.core.node import Node
from gossipreg.daemon.addresses import advertise_rule, bind_rule
from gossipreg.daemon.checks.spec import parse_check_untrusted, shortened
from gossipreg.daemon.logs import text_value
from gossipreg.daemon.params import registration_untrusted, take_untrusted
from gossipreg.daemon.seeds import parse_seed
from gossipreg.daemon.services_file import parse_services_untrusted
from gossipreg.durations import parse_duration
from gossipreg.errors import BadConfig, BadParams, CannotStart, RequestError
from gossipreg.model import Address, Health, Service
from gossipreg.wire.rpc import Decoder
from gossipreg.wire.seal import Keyring
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node

CORPUS = Path(__file__).with_name("corpus")
INPUTS_A_NODE = 500
"""A node is made anew after so many: else a slow input could not be told from many before it."""
ROWS_MAX = 2000


class _Victim:
    """A node that knows an insider, who holds the key and says whatever is wanted."""

    def __init__(self) -> None:
        self.node: Node = a_node()
        self.node.register(Service("billing-1", "billing", "h", 1), Health.PASSING, START)
        self.insider = Speaker(4)
        self.insider.greets(self.node, START)
        Speaker(5).greets(self.node, START)
        self.now = START
        self.inputs = 0


_victim = _Victim()


def datagram(data: bytes) -> None:
    """The first byte says how: from a stranger, or sealed by an insider; and how much time passes before. Whatever it
    is, no exception comes out, our own row stays as it is, no version goes down, and the next deadline is a time."""
    global _victim
    _victim.inputs += 1
    if _victim.inputs > INPUTS_A_NODE:
        _victim = _Victim()
    victim, node = _victim, _victim.node
    how, body = (data[0], data[1:]) if data else (0, b"")
    victim.now += (how >> 4) / 10
    replica = node._commons.replica
    own = sorted(replica.own.content.entries.items()) if replica.own.content else []
    before = {id: (row.told, row.liveness) for id, row in replica.rows.items()}
    if how & 1:
        node.receive(victim.insider.sealed_body(body[:1300]), victim.insider.address, victim.now)
    else:
        node.receive(body, Address("198.51.100.9", 9), victim.now)
    node.advance(victim.now)
    assert not math.isnan(node.next_deadline())
    assert (sorted(replica.own.content.entries.items()) if replica.own.content else []) == own
    assert all(
        replica.rows[id].told >= told and replica.rows[id].liveness >= liveness
        for id, (told, liveness) in before.items()
        if id in replica.rows and id != node.id
    )
    assert len(replica.rows) < ROWS_MAX
    node.statistics(victim.now)
    node.members(victim.now)


def rpc(data: bytes) -> None:
    """The local socket: bytes to requests to parameters."""
    decoder = Decoder()
    with suppress(RequestError):
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            for message in decoder.feed_untrusted(half):
                if message[0] == "request":
                    with suppress(BadParams):
                        registration_untrusted("register", message[3], default_host="10.0.0.1")
                    with suppress(BadParams):
                        take_untrusted(message[2], message[3], {})


def check(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    with suppress(BadParams):
        assert parse_check_untrusted("checks", text).text == text
    assert shortened(text).isprintable()


def toml(data: bytes) -> None:
    with suppress(CannotStart):
        parse_services_untrusted(data, "--services f")


def key(data: bytes) -> None:
    with suppress(BadConfig):
        Keyring.parse_untrusted(data.decode(errors="replace"))


def texts(data: bytes) -> None:
    """Seeds, binds, addresses and durations; and a log line of it is one line."""
    text = data.decode(errors="surrogateescape")
    with suppress(BadConfig, CannotStart):
        parse_seed(text)
    with suppress(BadConfig, CannotStart):
        bind_rule(text, everywhere=True)
    if text.replace(".", "").replace(":", "").isdigit():  # names would be resolved
        with suppress(BadConfig, CannotStart):
            advertise_rule(text, 1)
    with suppress(ValueError):
        assert parse_duration(text) >= 0
    assert text_value(text).isprintable()


TARGETS: dict[str, Callable[[bytes], None]] = {
    "datagram": datagram, "rpc": rpc, "check": check, "toml": toml, "key": key, "texts": texts,
}  # fmt: skip


def corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
