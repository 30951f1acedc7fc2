"""A node under test, and a `Speaker`: a peer that runs no node, and sends any message, sealed as a member seals it."""

import random
from collections.abc import Iterable
from dataclasses import replace

from gossipreg.config import Config, lan
from gossipreg.core.effects import Effect, Send
from gossipreg.core.node import Node
from gossipreg.core.table.layout import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE
from gossipreg.core.table.own_content import OwnContent
from gossipreg.generation import generation_of
from gossipreg.model import PROTOCOL, Address, BootId, Health, Member, NodeId, ProtocolRange, RegisteredService
from gossipreg.wire import codec, values
from gossipreg.wire.messages import Delta, Hello, Message, Receipt
from gossipreg.wire.seal import Keyring, Opener, Sealer
from simulations.checkers.bounded import containers
from tests.core.cluster import KEY, START, WALL_MS

GENERATION = generation_of(WALL_MS, 0)
HOME = Address("10.1.0.1", 7940)


def a_node(
    config: Config = lan,
    *,
    keyring: Keyring | None = KEY,
    seed: int = 1,
    address_fixed: bool = True,
    synced: bool = True,
    protocol: ProtocolRange = PROTOCOL,
) -> Node:
    """Make a node with a fixed id and address; `synced`: it is the first of its cluster."""
    rng = random.Random(seed)
    node = Node(
        config,
        member=Member("victim", BootId(rng.randbytes(8)), (HOME,), durable=True, protocol=protocol),
        id=NodeId(rng.randbytes(16)),
        generation=GENERATION,
        keyring=keyring,
        rng=rng,
        entropy=rng.randbytes,
        now=START,
        wall_ms=WALL_MS,
        address_fixed=address_fixed,
    )
    if synced:
        node.seek((), START)
    return node


def row_content(
    boot_id: BootId,
    address: Address,
    *,
    generation: int = GENERATION,
    services: int = 0,
    name: str = "speaker",
    protocol: ProtocolRange = PROTOCOL,
) -> OwnContent:
    """Return a full row as its owner wrote it."""
    content = OwnContent(generation)
    content.put(
        KIND_MEMBER,
        0,
        values.encode_member(Member(name, boot_id, (address,), zone="z", durable=True, protocol=protocol)),
    )
    for slot in range(services):
        service = RegisteredService(f"{name}-{slot}", f"service-{slot}", address.host, 80 + slot)
        content.put(KIND_SERVICE, slot, values.encode_service(service))
        content.put(KIND_HEALTH, slot, values.encode_health(Health.PASSING))
    return content


class Speaker:
    def __init__(
        self,
        seed: int = 7,
        *,
        keyring: Keyring | None = KEY,
        address: Address | None = None,
        generation: int = GENERATION,
        id: NodeId | None = None,
        cluster: str = "default",
        boot_id: BootId | None = None,
        protocol: ProtocolRange = PROTOCOL,
        services: int = 0,
    ) -> None:
        rng = random.Random(f"speaker {seed}")
        self.id = id or NodeId(rng.randbytes(16))
        self.boot_id = boot_id or BootId(rng.randbytes(8))
        self.address = address or Address(f"10.2.{seed // 250}.{seed % 250 + 1}", 7940)
        self.generation = generation
        self.cluster = cluster
        self.protocol = protocol
        self.content = row_content(
            self.boot_id,
            self.address,
            generation=generation,
            name=f"speaker-{seed}",
            protocol=protocol,
            services=services,
        )
        self.bytes_sent = 0
        self._sealer = Sealer(keyring, self.boot_id)
        self._opener = Opener(keyring)

    def sealed(self, *messages: Message) -> bytes:
        """Return a datagram with these messages."""
        return self._sealer.seal(b"".join(map(codec.encode, messages)))

    def sealed_body(self, body: bytes) -> bytes:
        """Return a datagram with these bytes in place of messages."""
        return self._sealer.seal(body)

    @property
    def row(self) -> Delta:
        """The first page of this peer's own row."""
        return self.content.cut(self.id, 0, 1300)

    def hello(self, nonce: int = 0, echo: int = 0) -> Hello:
        return Hello(self.cluster, self.id, self.generation, nonce, echo, protocol=self.protocol)

    def send_to(self, node: Node, now: float, *messages: Message, at: Address | None = None) -> list[Effect]:
        """Send these messages to the node in one datagram, from this peer's address or from `at`; return its
        effects."""
        return node.receive(self.sealed(*messages), at or self.address, now)

    def received(self, effects: Iterable[Effect], at: Address | None = None) -> list[Message]:
        """Return the messages in these effects that were sent to this peer's address, or to `at`, in order; but no
        receipts, which go with any other message."""
        return [one for one in self.received_all(effects, at) if type(one) is not Receipt]

    def received_all(self, effects: Iterable[Effect], at: Address | None = None) -> list[Message]:
        """Return those messages, and the receipts."""
        found: list[Message] = []
        for effect in effects:
            if isinstance(effect, Send) and effect.destination == (at or self.address):
                found += codec.decode_untrusted(self._opener.open_untrusted(effect.datagram).body)[0]
        return found

    def handshake(self, node: Node, now: float, *, with_row: bool = True) -> list[Effect]:
        """Complete the handshake: a session, a proven address, and the peer's row in the node's table."""
        asked = self.received(self.send_to(node, now, self.hello(nonce=5)))
        assert isinstance(asked[0], Hello)
        assert asked[0].echo == 5
        proof = replace(self.hello(), echo=asked[0].nonce)
        return self.send_to(node, now, proof, *([self.row] if with_row else []))


def bytes_to(effects: Iterable[Effect], address: Address) -> int:
    return sum(len(e.datagram) for e in effects if isinstance(e, Send) and e.destination == address)


def counted(node: Node, name: str) -> int:
    return int(node.statistics(START).get(name, 0))


_FIXED = (".counts", ".sent_kinds", ".sent_kind_bytes", "Opener._ciphers", "TableChanges.rows", "RowChange.slots")
"""Containers that do not grow: counters, whose names are fixed, a cache of subkeys of the cluster's keys, and what the
last input changed."""


def parts_that_hold(node: Node) -> dict[str, dict[object, object]]:
    """Return every dict of a node's parts that can grow, by class and attribute; not the dicts in their values."""
    return {
        path: part
        for path, part in containers(node)
        if isinstance(part, dict) and not path.startswith("_") and not path.endswith(("[]", *_FIXED))
    }


def sizes_of_parts(node: Node) -> dict[str, int]:
    return {path: len(part) for path, part in parts_that_hold(node).items()}
