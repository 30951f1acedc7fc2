"""gossipreg: a service registry without a server. Every service runs a sidecar; the sidecars gossip.

The map of the package. A module imports only from lines above its own, which a test enforces:

    quick_dataclass  dataclasses with slots, made faster than by the standard library
    errors, model    the exceptions; the frozen values that all parts use
    drops            the reasons for dropping something: each is counted, and explained here
    blake2, sha2     BLAKE2b and SHA-256 without the standard library's OpenSSL
    narrow_cryptography  one cipher and one kind of keys of the library, without its other modules
    extras           how to install an optional part
    durations        250ms, 5s, 2m, 1h, 7d
    sizes            4KiB, 512MiB, 1GiB
    generation       the number of a start: larger than those of all starts before
    strict_json      JSON as its standard has it; the same text in one line
    retry            growing waits between attempts
    timers           names with the time at which each is due
    weights          random choices by the weights of instances
    socket_path      where the local socket is
    systemd_job      whether systemd restarts the unit that we run in
    callers, rights  the user of a request, as the kernel says; which user may use which verb
    tuning           the finer settings of the core, a group for each of its rooms
    config           the settings of a member
    net/             the sockets under daemon and gateways: listening, a free port, accepting, unix socket files
    wire/            bytes <-> values: datagrams (messages, codec, seal) and the local socket (rpc, shapes). Pure
    streams/         sealed connections between two sidecars. Pure
    journal/         replicated logs that are silent when idle. Pure
    events/          events between services: published to a journal, delivered to groups. Pure
    sagas/           business transactions over several services that finish or are undone. Pure
    history/         what a sidecar saw, a line for each thing that happened. Pure
    core/            the protocol, in rooms: table/, session/, gossip/, failure/, local/, and node, which composes
                     them. Pure: time and bytes go in, effects come out; no clock, no socket, no global
                     randomness, so one seed replays a cluster
    feed             publishes values to its followers
    trace_context    which trace a request belongs to: W3C traceparent and tracestate. Pure
    tracing          spans: what was done, for whom and how long; which are recorded
    otlp/            spans to an OpenTelemetry collector. Loaded only with join --otlp
    sidecar_api      what a gateway may ask of the sidecar that runs it, and the sidecar of a gateway
    daemon/          trio: the UDP pump, the local socket, persistence, start and stop
    gateway/         other people's protocols, beside the daemon, and loaded only when asked for: dns/, http/
    client/, aio     for programs; it imports only errors, model, retry, socket_path, wire.rpc, events.cloud_event and
                     sagas.saga_definition
    demo/            the demonstration: five sidecars and a small shop, an example to read. Loaded by `demo` alone
    cli/             the commands: parse, call, print. Only `join` loads the daemon

How data flows:

    datagram         UDP socket -> core.node.receive (seal, codec, then failure, gossip, table and its
                     catalog) -> effects -> UDP socket
    lookup           unix socket -> wire.rpc -> core.table.catalog -> wire.shapes, wire.rpc -> unix socket
    DNS question     UDP or TCP socket -> gateway.dns.responder (wire, names, answers, compose) -> the same socket
    HTTP request     TCP or unix socket -> gateway.http.server (framing, guard, api with its table of routes, then
                     reads, writes or eureka/) -> the same socket; a read that waits stays in blocking until its answer
                     changes
    registration     unix socket -> wire.rpc -> disk -> core.node.register -> gossiped at once, and the reply

Programs use `gossipreg.connect()`, see `client/registry.py`, or the thin `gossipreg.Client`, see
`client/connection.py`. The exceptions that they raise can be imported from here too. `gossipreg.aio` is the same for
asyncio and trio.
"""

from typing import TYPE_CHECKING

from gossipreg.errors import (
    BadParams,
    BreakerOpen,
    Busy,
    CannotSend,
    ChooseSocket,
    Conflict,
    DeadlineExceeded,
    Forked,
    GossipregError,
    JournalFull,
    NoDataDirectory,
    NoInstance,
    NotFound,
    NotSynced,
    OutcomeUnknown,
    Refused,
    RequestError,
    SagaAborted,
    SagaConflict,
    SagaExists,
    StepRefused,
    StepUnknown,
    TooFewCopies,
    TooLarge,
    TooStale,
    Unavailable,
    UnknownMethod,
    Unreachable,
)

if TYPE_CHECKING:
    from gossipreg.client import (
        AsyncInbox,
        AsyncOutbox,
        AsyncParticipant,
        Attachment,
        Client,
        Event,
        Inbox,
        Instance,
        Outbox,
        Participant,
        ParticipantAnswer,
        PickedInstance,
        Published,
        Registry,
        Reject,
        Relay,
        Retry,
        Saga,
        SagaHandle,
        SagaStep,
        SagaStory,
        Service,
        Snapshot,
        StepAnswer,
        Watch,
        connect,
        literal,
        relay_once,
    )

__version__ = "0.2.0"

__all__ = [
    "AsyncInbox",
    "AsyncOutbox",
    "AsyncParticipant",
    "Attachment",
    "BadParams",
    "BreakerOpen",
    "Busy",
    "CannotSend",
    "ChooseSocket",
    "Client",
    "Conflict",
    "DeadlineExceeded",
    "Event",
    "Forked",
    "GossipregError",
    "Inbox",
    "Instance",
    "JournalFull",
    "NoDataDirectory",
    "NoInstance",
    "NotFound",
    "NotSynced",
    "Outbox",
    "OutcomeUnknown",
    "Participant",
    "ParticipantAnswer",
    "PickedInstance",
    "Published",
    "Refused",
    "Registry",
    "Reject",
    "Relay",
    "RequestError",
    "Retry",
    "Saga",
    "SagaAborted",
    "SagaConflict",
    "SagaExists",
    "SagaHandle",
    "SagaStep",
    "SagaStory",
    "Service",
    "Snapshot",
    "StepAnswer",
    "StepRefused",
    "StepUnknown",
    "TooFewCopies",
    "TooLarge",
    "TooStale",
    "Unavailable",
    "UnknownMethod",
    "Unreachable",
    "Watch",
    "__version__",
    "connect",
    "literal",
    "relay_once",
]

_OF_THE_CLIENT = (
    *("Attachment", "Client", "Instance", "PickedInstance", "Registry", "Service", "Snapshot", "Watch", "connect"),
    *("AsyncInbox", "AsyncOutbox", "Inbox", "Outbox", "Relay", "relay_once"),
    *("Event", "Published", "Reject", "Retry"),
    *(
        "AsyncParticipant",
        "Participant",
        "ParticipantAnswer",
        "Saga",
        "SagaHandle",
        "SagaStep",
        "SagaStory",
        "StepAnswer",
    ),
    "literal",
)


def __getattr__(name: str) -> object:
    """Load the client when it is first used: the sidecar, which imports this package too, never needs it."""
    if name in _OF_THE_CLIENT:
        from gossipreg import client

        return getattr(client, name)
    if name == "aio":  # `import gossipreg` is enough to use it, as for all the rest
        from importlib import import_module

        return import_module("gossipreg.aio")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
