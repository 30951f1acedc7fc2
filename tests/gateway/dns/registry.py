"""A registry behind the DNS gateway: a real node with rows of other members, and a responder that gets its changes.
Replies are read with dnspython, whose parser shares no code with ours."""

import random
from collections import Counter
from dataclasses import replace

import dns.message
import dns.rcode
import dns.rdatatype

from gossipreg.core.effects import Changed, Effect, MembersChanged
from gossipreg.core.table.layout import KIND_HEALTH, KIND_MEMBER, KIND_SERVICE
from gossipreg.gateway.dns.answers import DnsAnswers
from gossipreg.gateway.dns.directory import Directory
from gossipreg.gateway.dns.names import make_zones
from gossipreg.gateway.dns.responder import Responder
from gossipreg.model import Address, Change, Health, RegisteredService, Status
from gossipreg.wire import values
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node


class Registry:
    def __init__(self, *, cluster: str = "default", domain: str | None = None, ttl_s: int = 0, negative_ttl_s: int = 0,
                 seed: int = 1) -> None:  # fmt: skip
        self.node = a_node()
        self.cluster = cluster
        self.ttl_s = ttl_s
        self.negative_ttl_s = negative_ttl_s
        self.troubles: list[str] = []
        self.domain = domain
        self.seed = seed
        self.bugs: list[Exception] = []
        self.now = 0.0
        self.responder = self.fresh()

    def fresh(self) -> Responder:
        """A new responder, without cached answers."""
        self.directory = Directory(self.node, clock=self._clock)
        answers = DnsAnswers(
            self.directory, make_zones(self.domain), cluster=self.cluster, ttl_s=self.ttl_s,
            negative_ttl_s=self.negative_ttl_s, hosts=lambda: ["127.0.0.1"],
        )  # fmt: skip
        rng = random.Random(self.seed)
        return Responder(
            self.directory, answers, counts=Counter({"dns.queries": 0}), salt=self.node.id, rng=rng,
            bug=lambda _, error: self._bug(error), trouble=lambda _, message: self.troubles.append(message),
        )  # fmt: skip

    def _clock(self) -> float:
        self.now += 0.001
        return self.now

    def _bug(self, error: Exception) -> None:
        self.bugs.append(error)
        raise error

    # -- registrations --------------------------------------------------------------------------------------------

    def put(
        self, name: str, address: str = "10.0.0.1", port: int = 80, *, id: str = "", tags: tuple[str, ...] = (),
        meta: tuple[tuple[str, str], ...] = (), weight: int = 1, health: Health = Health.PASSING,
    ) -> str:  # fmt: skip
        """Register a service of our own; return its id."""
        service = RegisteredService(id or f"{name}-{address}-{port}", name, address, port, tags, meta, weight)
        self.tell(self.node.register(service, health, START)[1])
        return service.id

    def take(self, id: str) -> None:
        self.tell(self.node.deregister(id, START))

    def turn(self, id: str, health: Health) -> None:
        self.tell(self.node.set_health(id, health, START)[1])

    def member(self, seed: int, *services: RegisteredService) -> Speaker:
        """Add a member in the zone "z" with the name speaker-SEED."""
        speaker = Speaker(seed)
        for slot, service in enumerate(services):
            speaker.content.put(KIND_SERVICE, slot, values.encode_service(service))
            speaker.content.put(KIND_HEALTH, slot, values.encode_health(Health.PASSING))
        self.tell(speaker.handshake(self.node, START))
        return speaker

    def announces(self, speaker: Speaker, *addresses: Address, name: str = "") -> None:
        """Change the addresses and the name of a member."""
        member = self.node.table.rows[speaker.id].member
        assert member is not None
        after = replace(member, addresses=addresses, name=name or member.name)
        speaker.content.put(KIND_MEMBER, 0, values.encode_member(after))
        self.tell(speaker.send_to(self.node, START, speaker.row))

    def leave(self, speaker: Speaker) -> None:
        """Have a member announce that it leaves."""
        member = self.node.table.rows[speaker.id].member
        assert member is not None
        speaker.content.put(KIND_MEMBER, 0, values.encode_member(replace(member, status=Status.LEFT)))
        self.tell(speaker.send_to(self.node, START, speaker.row))

    def tell(self, effects: list[Effect]) -> None:
        changes: list[Change] = []
        for effect in effects:
            if isinstance(effect, Changed):
                changes += effect.changes
            elif isinstance(effect, MembersChanged):
                self.directory.members_changed()
        self.now += 10
        self.responder.changed(tuple(changes))

    # -- asking --------------------------------------------------------------------------------------------------------

    def ask(
        self, name: str, type: str = "A", *, edns_bytes: int | None = None, host: str = "127.0.0.1", tcp: bool = False
    ) -> dns.message.Message:
        query = dns.message.make_query(name, type, use_edns=None if edns_bytes is None else 0, payload=edns_bytes or 0)
        reply = self.raw(query.to_wire(), host=host, tcp=tcp)
        assert reply is not None
        message = dns.message.from_wire(reply)
        assert query.is_response(message)
        return message

    def raw(self, data: bytes, *, host: str = "127.0.0.1", tcp: bool = False) -> bytes | None:
        self.now += 10
        return self.responder.respond_tcp(data, host) if tcp else self.responder.respond_udp(data, host, self.now)

    def found(self, name: str, type: str = "A", **asked: object) -> list[str]:
        """Return the data of the answers, sorted."""
        return data_of(self.ask(name, type, **asked))  # type: ignore[arg-type]


def data_of(message: dns.message.Message) -> list[str]:
    return sorted(str(item) for rrset in message.answer for item in rrset)


def outcome(message: dns.message.Message) -> str:
    """Return NXDOMAIN, NODATA (with an SOA each), another error, or "" if there are answers."""
    if message.answer:
        return ""
    if message.rcode() in (0, 3):
        assert [rrset.rdtype for rrset in message.authority] == [dns.rdatatype.SOA]
    return "NODATA" if message.rcode() == 0 else dns.rcode.to_text(message.rcode())
