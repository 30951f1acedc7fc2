"""The records that answer a question, the same for every client.

Owns which types a name has, and whether it exists: NXDOMAIN if it does not, also for a service without a passing
instance (as at Consul), and NODATA if it exists without this type; both with the zone's SOA. Names above others, such
as `service.consul`, exist (RFC 8020). Never knows of messages, sizes or clients.

While the cluster's table is not known (`View.knowledge`), the answer SERVFAIL, which resolvers do not keep, takes the
place of NXDOMAIN. A service that is not registered here is SERVFAIL too, since only a part of it may be known.

A service's address may be a host name. Then its SRV target is that name, and a question for its addresses is answered
with a CNAME to it. If some instances have addresses, those alone are given out.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from gossipreg.blake2 import blake2b
from gossipreg.gateway.dns import wire
from gossipreg.gateway.dns.compose import DnsAnswer, DnsRecord
from gossipreg.gateway.dns.directory import Directory, ServiceEntry, folded, packed_address
from gossipreg.gateway.dns.names import (
    INSTANCE_BYTES,
    Asked,
    Kind,
    Zone,
    instance_target,
    may_be_reverse,
    read_name,
    reverse_address,
    spelled_address,
)
from gossipreg.gateway.readings import IN_BYTES, readings
from gossipreg.model import CatalogInstance, Member, present

_ADDRESS_TYPES = {4: wire.A, 16: wire.AAAA}
_UNKNOWN = DnsAnswer(rcode=wire.SERVFAIL, authoritative=False)
_REFUSED = DnsAnswer(rcode=wire.REFUSED, authoritative=False)
DEFAULT_CLUSTER, CONSUL_DATACENTER = b"default", b"dc1"
"""The default names of a cluster here and of a datacenter at Consul: programs that were written for Consul ask for
NAME.service.dc1.consul."""
RFC1035 = "rfc1035-"
"""Keys of meta and labels that begin with this have their value alone in TXT, as at Consul; others `key=value`."""

Records = tuple[DnsRecord, ...]


class DnsAnswers:
    def __init__(
        self,
        directory: Directory,
        zones: tuple[Zone, ...],
        *,
        cluster: str,
        ttl_s: int,
        negative_ttl_s: int = 0,
        hosts: Callable[[], Iterable[str]],
    ) -> None:
        """`ttl_s` and `negative_ttl_s`: how long resolvers may keep records, and the answer that there are none.
        `hosts()` gives our present addresses, for `ns` in the zone."""
        self._directory = directory
        self._zones = zones
        self._cluster = folded(cluster)
        self._ttl_s = ttl_s
        self._negative_ttl_s = negative_ttl_s
        self._hosts = hosts

    def answer(self, query: wire.Query) -> DnsAnswer:
        asked = None if query.class_ != wire.IN else read_name(query.labels, self._zones)
        if asked is None or query.type in wire.META_TYPES:
            return _REFUSED
        if query.type == wire.OPT:
            return DnsAnswer(rcode=wire.FORMERR, authoritative=False)
        entry, records = self._find(asked, query.type)
        if self._directory.knowledge.partial and self._unknown(asked, entry, records):
            return _UNKNOWN
        if records:
            one_of = len(records) > 1 and query.type != wire.CNAME and _is_cname(records[0])
            return DnsAnswer(records, one_of=one_of, entry=entry)
        return DnsAnswer(
            rcode=wire.NXDOMAIN if records is None else wire.NOERROR,
            authority=self._soa(query, asked.zone),
            entry=entry,
        )

    def _unknown(self, asked: Asked, entry: ServiceEntry | None, records: Records | None) -> bool:
        """Whether other members may have this service while this sidecar cannot tell."""
        if asked.kind not in (Kind.SERVICE, Kind.NODE, Kind.REVERSE, Kind.OTHER):
            return False
        if records is None or entry is None:
            return records is None
        if not self._directory.knowledge.refuses:
            return False
        return not any(map(self._directory.is_own, self._directory.catalog.lookup(entry.name)))

    def _soa(self, query: wire.Query, zone: Zone) -> bytes:
        name_end = wire.HEADER.size + len(query.question) - 4
        return wire.soa(self._negative_ttl_s, self._negative_ttl_s, int(time.time()), name_end - len(zone.name))

    def _find(self, asked: Asked, type: int) -> tuple[ServiceEntry | None, Records | None]:
        """The service, if it is one, and its records of this type; None: there is no such name."""
        match asked.kind:
            case Kind.SERVICE:
                return self._service(asked, type)
            case Kind.NODE:
                return None, self._node(asked, type)
            case Kind.ADDRESS:
                return None, self._address(asked, type)
            case Kind.REVERSE:
                return None, self._reverse(asked, type)
            case Kind.APEX:
                return None, self._apex(asked, type)
            case Kind.NAME_SERVER:
                packed = tuple(one for host in self._hosts() if (one := packed_address(host)) and any(one))
                return None, self._address_records(packed, type)
            case Kind.OTHER:
                return None, () if self._is_place(b".".join(asked.parts)) else None

    def _is_place(self, place: bytes) -> bool:
        return self._is_cluster(place) or place in self._directory.members().zones

    def _in_place(self, place: bytes, zone: str) -> bool:
        return self._is_cluster(place) or folded(zone) == place

    def _is_cluster(self, place: bytes) -> bool:
        """Consul's default datacenter stands for the default cluster, unless a zone has that name."""
        if place == CONSUL_DATACENTER and self._cluster == DEFAULT_CLUSTER:
            return place not in self._directory.members().zones
        return place in (b"", self._cluster)

    # -- services ------------------------------------------------------------------------------------------------------

    def _service(self, asked: Asked, type: int) -> tuple[ServiceEntry | None, Records | None]:
        services = self._directory.services
        for name, tag in readings(asked.parts, IN_BYTES):
            entry = services.find(name)
            if entry is not None:
                instances = [one for one in self._passing(entry, tag) if self._in_place(asked.place, one.zone)]
                exists = instances or services.is_inner(b".".join(asked.parts))
                return entry, self._service_records(instances, type, asked.zone) if exists else None
        parts = asked.parts
        on_the_way = not parts or (len(parts) == 1 and parts[0].startswith(b"_")) or services.is_inner(b".".join(parts))
        return None, () if on_the_way and self._is_place(asked.place) else None

    def _passing(self, entry: ServiceEntry, tag: bytes | None) -> Iterator[CatalogInstance]:
        for instance in self._directory.catalog.lookup(entry.name):
            if tag is None or any(folded(one) == tag for one in instance.service.tags):
                yield instance

    def _service_records(self, instances: list[CatalogInstance], type: int, zone: Zone) -> Records:
        if type == wire.SRV:
            with_port = (one for one in instances if one.service.port)  # nobody can connect to port 0
            return tuple(record for one in with_port if (record := self._srv(one, zone)) is not None)
        if type == wire.TXT:
            return self._texts(item for one in instances for item in one.service.meta)
        hosts = dict.fromkeys(one.service.address for one in instances)
        packed = tuple(dict.fromkeys(found for host in hosts if (found := packed_address(host)) is not None))
        if packed or type not in (wire.A, wire.AAAA, wire.CNAME, wire.ANY):
            return self._address_records(packed, type)
        targets = dict.fromkeys(name for host in hosts if (name := _host_name(host)) is not None)
        return tuple(DnsRecord(wire.record(wire.CNAME, self._ttl_s, target), target) for target in targets)

    def _srv(self, instance: CatalogInstance, zone: Zone) -> DnsRecord | None:
        """None if its address is a host name that DNS does not allow."""
        service = instance.service
        identity = instance.node + service.id.encode(errors="replace")
        packed = packed_address(service.address)
        if packed is None:
            host = _host_name(service.address)
            return (
                None if host is None else DnsRecord(wire.srv(self._ttl_s, service.weight, service.port, host), identity)
            )
        target = instance_target(blake2b(identity, digest_size=INSTANCE_BYTES).digest(), packed, zone)
        address = wire.record(_ADDRESS_TYPES[len(packed)], self._ttl_s, packed, owner=b"")
        return DnsRecord(wire.srv(self._ttl_s, service.weight, service.port, target), identity, target, address)

    def _address_records(self, addresses: tuple[bytes, ...], type: int) -> Records:
        """The records of this type; ANY: all."""
        found = ((_ADDRESS_TYPES[len(packed)], packed) for packed in addresses)
        return tuple(
            DnsRecord(wire.record(its_type, self._ttl_s, packed), packed)
            for its_type, packed in found
            if type in (its_type, wire.ANY)
        )

    def _texts(self, items: Iterator[tuple[str, str]]) -> Records:
        """Records of meta or labels, each text once. A text that is longer than a message is left out."""
        texts = dict.fromkeys(value if key.lower().startswith(RFC1035) else f"{key}={value}" for key, value in items)
        packed = (text.encode(errors="replace") for text in texts)
        return tuple(DnsRecord(wire.txt(self._ttl_s, text), text) for text in packed if len(text) < 32_768)

    # -- everything else -----------------------------------------------------------------------------------------------

    def _node(self, asked: Asked, type: int) -> Records | None:
        members, name = self._directory.members(), b".".join(asked.parts)
        found = [one for one in members.by_name.get(name, ()) if self._in_place(asked.place, one.zone)]
        if not found:
            there = (not name or name in members.inner) and self._is_place(asked.place)
            return () if there else None
        if type == wire.TXT:
            return self._texts(item for member in found for item in member.labels)
        return self._address_records(_addresses(found), type)

    def _address(self, asked: Asked, type: int) -> Records | None:
        if not self._is_place(asked.place):
            return None
        if not asked.parts:
            return ()
        packed = spelled_address(asked.parts)
        return None if packed is None else self._address_records((packed,), type)

    def _reverse(self, asked: Asked, type: int) -> Records | None:
        packed = reverse_address(asked.parts, asked.zone)
        if packed is None:
            return () if may_be_reverse(asked.parts, asked.zone) else None
        names = [(name, "node") for name in self._directory.members().by_address.get(packed, ())]
        names = names or [(name, "service") for name in self._directory.services_at(packed)]
        zone = self._zones[0].labels
        owned = (wire.encode_name((*_labels(name), kind.encode(), *zone)) for name, kind in names)
        pointed = dict.fromkeys(name for name in owned if name is not None)
        if not pointed or type not in (wire.PTR, wire.ANY):
            return () if pointed else None
        return tuple(DnsRecord(wire.record(wire.PTR, self._ttl_s, name), name) for name in pointed)

    def _apex(self, asked: Asked, type: int) -> Records:
        soa = wire.soa(self._ttl_s, self._negative_ttl_s, int(time.time()), wire.HEADER.size)
        name_server = wire.record(wire.NS, self._ttl_s, b"\x02ns" + asked.zone.name)
        found = ((wire.SOA, soa), (wire.NS, name_server))
        return tuple(DnsRecord(record, b"") for its_type, record in found if type in (its_type, wire.ANY))


def _addresses(members: list[Member]) -> tuple[bytes, ...]:
    packed = (packed_address(address.host) for member in members for address in present(member.addresses))
    return tuple(dict.fromkeys(one for one in packed if one is not None))


def _labels(name: str) -> tuple[bytes, ...]:
    return tuple(name.encode(errors="replace").split(b"."))


def _host_name(host: str) -> bytes | None:
    return wire.encode_name(_labels(host.removesuffix(".")))


def _is_cname(record: DnsRecord) -> bool:
    return record.answer[2:4] == b"\0\x05"
