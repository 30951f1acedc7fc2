"""The fuzz targets: each gives bytes to one reader of untrusted input, and raises only if the code is wrong.

`scripts/check --fuzz` (coverage-guided, for minutes) and `test_fuzz.py` (for seconds, with all tests) run the same
targets. The corpus beside them has a few good inputs for each, and each input that once failed.
"""

import json
import math
import random
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import dns.flags
import dns.message
from msgpack import packb, unpackb

from gossipreg.callers import Caller
from gossipreg.core.node import Node
from gossipreg.daemon.addresses import advertise_rule, bind_rule
from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import shortened
from gossipreg.daemon.events.member_answers import ASKED_OF_MEMBERS, member_answer_untrusted
from gossipreg.daemon.json_form import json_of
from gossipreg.daemon.logs import text_value
from gossipreg.daemon.params import registration_untrusted, take_untrusted
from gossipreg.daemon.sagas.saga_answer import saga_answer_untrusted
from gossipreg.daemon.seeds import parse_seed
from gossipreg.daemon.services_file import parse_services_untrusted
from gossipreg.durations import parse_duration
from gossipreg.errors import BadConfig, BadDatagram, BadParams, CannotStart, RequestError
from gossipreg.events.codec import decode_event_message_untrusted, encode_event_message
from gossipreg.events.effects import SendEventMessage
from gossipreg.events.handled import HandledEvents
from gossipreg.events.messages import EventsCall
from gossipreg.events.questions import Questions
from gossipreg.gateway.dns import responder
from gossipreg.gateway.dns.names import make_zones
from gossipreg.gateway.http import ask, check_definitions, definitions
from gossipreg.gateway.http.eureka.applications import applications, hash_code
from gossipreg.gateway.http.eureka.documents import read_document_untrusted, write_document
from gossipreg.gateway.http.eureka.leases import lease_untrusted
from gossipreg.gateway.http.filter import compile_filter_untrusted
from gossipreg.gateway.http.guard import Guard
from gossipreg.journal.codec import decode_message_untrusted, encode_message
from gossipreg.journal.model import JournalId
from gossipreg.model import Address, CatalogInstance, Health, NodeId, RegisteredService
from gossipreg.net.http_framing import BODY_MAX_BYTES, HEAD_MAX_BYTES, Reader
from gossipreg.net.http_message import Head, HttpError, Request, target_untrusted
from gossipreg.sagas import saga_tuning
from gossipreg.sagas.saga_calls import METHODS, read_call
from gossipreg.sagas.saga_codec import decode_changes, encode_changes
from gossipreg.sagas.saga_definition import decode_definition, encode_definition, read_definition
from gossipreg.sagas.saga_entries import UnreadChange
from gossipreg.sagas.saga_message_codec import decode_saga_message_untrusted, encode_saga_message
from gossipreg.sagas.saga_model import SagaRef
from gossipreg.sagas.saga_templates import TemplateValues
from gossipreg.sagas.step_intent import intent_of
from gossipreg.streams.connection import StreamMessage, StreamState
from gossipreg.streams.handshake import MAX_HANDSHAKE_BYTES
from gossipreg.wire.json_params import params_of_untrusted
from gossipreg.wire.rpc import Decoder
from gossipreg.wire.seal import Keyring
from tests.core.cluster import START
from tests.core.speaker import Speaker, a_node
from tests.fuzz.xds_targets import xds
from tests.gateway.dns.registry import Registry
from tests.sagas.one_line import assert_one_line
from tests.streams.ends import accepting, insider_frame, insider_hello, open_pair, opening, received

CORPUS = Path(__file__).with_name("corpus")
INPUTS_A_NODE = 500
"""A new node is made after this many inputs: otherwise a slow input could not be told from the effect of many."""
ROWS_MAX = 2000


class _Victim:
    """A node with a session of an insider, which has the key and sends any message."""

    def __init__(self) -> None:
        self.node: Node = a_node()
        self.node.register(RegisteredService("billing-1", "billing", "h", 1), Health.PASSING, START)
        self.insider = Speaker(4)
        self.insider.handshake(self.node, START)
        Speaker(5).handshake(self.node, START)
        self.now = START
        self.inputs = 0


_victim = _Victim()


def datagram(data: bytes) -> None:
    """The first byte selects the sender, a stranger or an insider that seals, and the time that passes before. For any
    bytes: no exception, our own row is unchanged, no version decreases, and the next deadline is a number."""
    global _victim
    _victim.inputs += 1
    if _victim.inputs > INPUTS_A_NODE:
        _victim = _Victim()
    victim, node = _victim, _victim.node
    how, body = (data[0], data[1:]) if data else (0, b"")
    victim.now += (how >> 4) / 10
    table = node.table
    own = sorted(table.own.content.entries.items()) if table.own.content else []
    before = {id: (row.content_version, row.liveness) for id, row in table.rows.items()}
    if how & 1:
        node.receive(victim.insider.sealed_body(body[:1300]), victim.insider.address, victim.now)
    else:
        node.receive(body, Address("198.51.100.9", 9), victim.now)
    node.advance(victim.now)
    assert not math.isnan(node.next_deadline())
    assert (sorted(table.own.content.entries.items()) if table.own.content else []) == own
    assert all(
        table.rows[id].content_version >= told and table.rows[id].liveness >= liveness
        for id, (told, liveness) in before.items()
        if id in table.rows and id != node.id
    )
    assert len(table.rows) < ROWS_MAX
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


def json_params(data: bytes) -> None:
    """The local socket over HTTP: a body to parameters, and to MessagePack and back to JSON without a change."""
    with suppress(BadParams):
        params = params_of_untrusted(data)
        with suppress(OverflowError):  # a number that no method takes
            echo = json.loads(json_of(packb(params)))
            assert echo == params or re.search(rb"\d{16}|[eE]", data)  # numbers that become text or null
        with suppress(BadParams):
            registration_untrusted("register", params, default_host="10.0.0.1")


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
    """Seeds, binds, addresses, domains and durations; and a log line of it is one line."""
    text = data.decode(errors="surrogateescape")
    with suppress(BadConfig, CannotStart):
        parse_seed(text)
    with suppress(BadConfig, CannotStart):
        bind_rule(text, everywhere=True)
    with suppress(BadConfig):
        make_zones(text)
    if text.replace(".", "").replace(":", "").isdigit():  # names would be resolved
        with suppress(BadConfig, CannotStart):
            advertise_rule(text, 1)
    with suppress(ValueError):
        assert parse_duration(text) >= 0
    assert text_value(text).isprintable()


def dns_message(data: bytes) -> None:
    """A datagram for the DNS gateway; the first byte says whether it came over TCP. What is answered is answered to
    this question, fits, and dnspython can read it."""
    tcp, body = bool(data[:1] and data[0] & 1), data[1:]
    reply = _registry().raw(body, tcp=tcp)
    if reply is not None:
        message = dns.message.from_wire(reply)
        assert message.flags & dns.flags.QR
        assert reply[:2] == body[:2]
        assert len(reply) <= (responder.TCP_BYTES if tcp else responder.LOOPBACK_UDP_BYTES)


@cache
def _registry() -> Registry:
    registry = Registry(domain="svc.example.org")
    for number in range(20):
        registry.put("web", f"10.0.0.{number}", tags=("v1",), meta=(("k", "v"),))
    registry.put("web", "2001:db8::1")
    registry.put("a.b", "host.example.org")
    return registry


def http(data: bytes) -> None:
    """The HTTP gateway: bytes in two pieces to requests, targets, routes' options and definitions. Whatever it is, a
    request comes out or an error with a status, and what waits for its rest is bounded."""
    guard = Guard(["registry.lan"])
    reader = Reader(Caller(), guard.check_untrusted)
    with suppress(HttpError):
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            reader.feed(half)
            while (found := reader.next_untrusted()) is not None:
                _http_request(*found)
            assert reader.held_bytes <= HEAD_MAX_BYTES + BODY_MAX_BYTES
            assert not reader.between or reader.held_bytes == 0


def lines(data: bytes) -> None:
    """A request of the local socket whose body is lines, in two pieces: each is parameters or refused, and what waits
    for its rest is bounded."""
    reader = Reader(Caller(), lambda _: None, has_lines=lambda _: True)
    with suppress(HttpError):
        for half in (data[: len(data) // 2], data[len(data) // 2 :]):
            reader.feed(half)
            while (found := reader.next_untrusted()) is not None:
                assert b"\n" not in found[1]
                json_params(found[1])
            assert reader.held_bytes <= HEAD_MAX_BYTES + BODY_MAX_BYTES


def _http_request(head: Head, body: bytes) -> None:
    with suppress(HttpError):
        target = target_untrusted(head.target)
        request = Request(head.method, target.path, target.query, body)
        for look in (ask.waited_index, lambda one: ask.wait_s(one, random.Random(1)), ask.pretty, ask.check_namespace):
            with suppress(HttpError):
                look(request)
        given = definitions.body_untrusted(body)
        with suppress(HttpError, BadParams):
            params, checks = definitions.service_untrusted(given)
            texts = [check_definitions.check_untrusted(check, check_definitions.check_id(check)) for check in checks]
            registration_untrusted("register", {**params, "checks": texts}, default_host="10.0.0.1")
        with suppress(HttpError):
            check_definitions.status_untrusted(given)


def filter(data: bytes) -> None:
    """A filter is refused, or says yes or no of an entry."""
    with suppress(HttpError):
        assert compile_filter_untrusted(data.decode(errors="surrogateescape"), "entry")(ENTRY) in (True, False)


ENTRY = {
    "Node": {"ID": "u", "Node": "one", "Address": "10.0.0.1", "Datacenter": "d", "TaggedAddresses": {}, "Meta": {}},
    "Service": {"ID": "w", "Service": "web", "Tags": ["v2"], "Address": "h", "Meta": {"v": "1"}, "Port": 80,
                "Weights": {"Passing": 1, "Warning": 1}, "EnableTagOverride": False, "Datacenter": "d",
                "TaggedAddresses": {}},
    "Checks": [{"Node": "one", "CheckID": "c", "Name": "n", "Status": "critical", "Notes": "", "Output": "",
                "ServiceID": "", "ServiceName": "", "ServiceTags": [], "Type": ""}],
}  # fmt: skip


def eureka(data: bytes) -> None:
    """A registration of Eureka's, as far as an instance that other clients read in both forms."""
    with suppress(HttpError, RequestError):
        document = read_document_untrusted(data, "", "instance")
        lease = lease_untrusted("web", document)
        registration = registration_untrusted("register", lease.params, default_host="127.0.0.1")
        shown = CatalogInstance(registration.service, Health.PASSING, NodeId(bytes(16)), "one", "", 1, 1)
        listed = applications([("ADDED", shown)], version=1, hash_code=hash_code([shown]))
        json.loads(write_document("applications", listed, as_json=True).body)
        root = ElementTree.fromstring(write_document("applications", listed, as_json=False).body)
        assert root.findtext("application/instance/status") == "UP"


def replica_message(data: bytes) -> None:
    """What a member sends over a stream about a journal."""
    with suppress(BadDatagram):
        message = decode_message_untrusted(data)
        assert message is None or decode_message_untrusted(encode_message(message)) == message


def event_message(data: bytes) -> None:
    """What a member sends over a stream about events."""
    with suppress(BadDatagram):
        message = decode_event_message_untrusted(data)
        assert message is None or decode_event_message_untrusted(encode_event_message(message)) == message


def saga_message(data: bytes) -> None:
    """What a member sends over a stream about sagas."""
    with suppress(BadDatagram):
        message = decode_saga_message_untrusted(data)
        assert message is None or decode_saga_message_untrusted(encode_saga_message(message)) == message


def saga_call(data: bytes) -> None:
    """The first byte selects the method of a call about sagas; the rest are its parameters, as a member sends them."""
    how, params = (data[0], data[1:]) if data else (0, b"")
    try:
        read_call(METHODS[how % len(METHODS)], params, saga_tuning.default)
    except RequestError as error:
        assert_one_line(error)


def answer(data: bytes) -> None:
    """The first byte selects the method of a call about sagas, or of a question about events, and whether it failed;
    the rest is what a member answers. Whatever it is, every client can read what comes of it."""
    how, packed = (data[0], data[1:]) if data else (0, b"")
    code = "refused" if how & 1 else ""
    questions = sorted(ASKED_OF_MEMBERS)
    told = member_answer_untrusted("web", questions[(how >> 1) % len(questions)], code, packed)
    json_of(packb(told.result))
    try:
        found = saga_answer_untrusted(METHODS[(how >> 1) % len(METHODS)], code, packed)
    except RequestError as error:
        assert_one_line(error)
    else:
        assert unpackb(found.result) == found.fields
        json_of(found.result)


def event_question(data: bytes) -> None:
    """The first byte selects a question about events; the rest are its parameters, as a member sends them."""
    how, params = (data[0], data[1:]) if data else (0, b"")
    questions = sorted(ASKED_OF_MEMBERS)
    asking = Questions(lambda: 1, HandledEvents(), lambda _group, _now: [])
    call = EventsCall(number=1, method=questions[how % len(questions)], params=params)
    (effect,) = asking.ask(NodeId(bytes(16)), call, START)
    assert isinstance(effect, SendEventMessage)
    encode_event_message(effect.message)


def saga_entry(data: bytes) -> None:
    """What stands in an entry of sagas."""
    with suppress(ValueError):
        changes = [change for change in decode_changes(data) if not isinstance(change, UnreadChange)]
        assert decode_changes(encode_changes(changes)) == changes


def saga_definition(data: bytes) -> None:
    """A definition as a program or another member sends it, and as the file of a person. Then
    its steps with an input."""
    for read in (decode_definition, lambda data: read_definition(data, toml=True)):
        with suppress(RequestError):
            definition = read(data)
            assert decode_definition(encode_definition(definition)) == definition
            values = TemplateValues(SagaRef(JournalId(bytes(16)), "7"), "a", b'{"a": [1, "b"]}', {})
            for step in definition.steps:
                with suppress(RequestError):
                    intent_of(step, values)


def stream(data: bytes) -> None:
    """The first byte selects who sends: a stranger to a sidecar that opens or accepts a stream, somebody who has the
    key and sends any hello, or a member whose stream is open. No exception, and none but the last is believed."""
    how, rest = (data[0] % 4, data[1:]) if data else (0, b"")
    if how == 3:
        pair = open_pair()
        pair.acceptor.receive_bytes(insider_frame(pair, rest), START)
        return
    reader = accepting(seed=77) if how else opening(seed=78)
    sent = insider_hello(rest) if how == 2 else rest
    half = len(sent) // 2
    events = received(reader, sent[:half]) + received(reader, sent[half:])
    assert reader.state is not StreamState.OPEN
    assert not any(isinstance(event, StreamMessage) for event in events)
    assert reader.held_bytes <= MAX_HANDSHAKE_BYTES


TARGETS: dict[str, Callable[[bytes], None]] = {
    "datagram": datagram, "rpc": rpc, "check": check, "toml": toml, "key": key, "texts": texts, "dns": dns_message,
    "http": http, "lines": lines, "json": json_params, "filter": filter, "eureka": eureka,
    "replica_message": replica_message, "event_message": event_message, "saga_message": saga_message,
    "saga_call": saga_call, "saga_entry": saga_entry, "saga_definition": saga_definition, "stream": stream,
    "xds": xds, "answer": answer, "event_question": event_question,
}  # fmt: skip


def corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
