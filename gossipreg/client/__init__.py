"""What a program needs to speak with the sidecar next to it. `gossipreg.connect` and `gossipreg.Client` are from here.

    registry     Registry, connect: the services of the cluster, followed in this process
    service      Service: the instances of one of them
    picker       the picking core of a service: clock, lock, forks
    picked       PickedInstance: the instance of one request, and how the request went
    calling      Service.call for threads
    aio_calling  the same for asyncio and trio
    fallback     another service, or a function, after all attempts of a call
    racing       two tasks of which the first that ends well counts
    snapshot     Snapshot: what is known of a service at one moment
    instance     Instance: one instance of a service
    loops        waiting in asyncio or trio
    aio          the same for asyncio and trio
    incoming     the request that this program serves: is it a retry, how long does its caller wait
    load_middleware  tells clients the load of a server; ASGI and WSGI
    otel         OpenTelemetry metrics, loaded only when used
    adapters/    httpx, requests and aiohttp, loaded only when used
    picking/     which instance gets a request, retries, ejection, breaker. Pure
    watching/    the thread and the connection that keep the snapshots
    outbox/      events written with a program's own data, and handled once; loaded only when used
    events/      publishing and handling events; loaded only when used
    sagas/       taking the steps of sagas, and taking part in them; loaded only when used
    event_stream one subscription to events on one connection;  followed: a call that notifications follow
    connection   Client, Watch, Attachment: single calls of the local socket
    pool         the streams that calls share, for threads and forks
    stream       one connection of a Client: requests, answers, bounds of time
    checks       values of the wrong type are refused at once
    current_trace  the trace of what the program does now
    log          the logger `gossipreg`, loaded when there is something to say

It may import errors, model, retry, socket_path, trace_context, wire.rpc, events.cloud_event and
sagas.saga_definition; never the core,
trio or anything of cryptography.
"""

from typing import TYPE_CHECKING

from gossipreg.client.connection import Attachment, Client, Watch

if TYPE_CHECKING:
    from gossipreg.client.events.event import Event, Reject, Retry
    from gossipreg.client.events.published import Published
    from gossipreg.client.instance import Instance
    from gossipreg.client.outbox.inbox import AsyncInbox, Inbox
    from gossipreg.client.outbox.relay import Relay, relay_once
    from gossipreg.client.outbox.writing import AsyncOutbox, Outbox
    from gossipreg.client.picked import PickedInstance
    from gossipreg.client.registry import Registry, connect
    from gossipreg.client.sagas.participant import AsyncParticipant, Participant
    from gossipreg.client.sagas.participant_answer import ParticipantAnswer
    from gossipreg.client.sagas.saga import Saga
    from gossipreg.client.sagas.saga_answers import SagaStory, StepAnswer
    from gossipreg.client.sagas.saga_handle import SagaHandle
    from gossipreg.client.sagas.saga_step import SagaStep, literal
    from gossipreg.client.service import Service
    from gossipreg.client.snapshot import Snapshot

__all__ = [
    "AsyncInbox", "AsyncOutbox", "AsyncParticipant", "Attachment", "Client", "Event", "Inbox", "Instance", "Outbox",
    "Participant", "ParticipantAnswer", "PickedInstance", "Published", "Registry", "Reject", "Relay", "Retry", "Saga",
    "SagaHandle", "SagaStep", "SagaStory", "Service", "Snapshot", "StepAnswer", "Watch", "connect", "literal",
    "relay_once",
]  # fmt: skip

_LATER = {"Instance": "instance", "PickedInstance": "picked", "Registry": "registry",
          "Service": "service", "Snapshot": "snapshot", "connect": "registry",
          "AsyncInbox": "outbox.inbox", "Inbox": "outbox.inbox", "AsyncOutbox": "outbox.writing",
          "Outbox": "outbox.writing", "Relay": "outbox.relay", "relay_once": "outbox.relay",
          "Event": "events.event", "Reject": "events.event", "Retry": "events.event",
          "Published": "events.published", "AsyncParticipant": "sagas.participant", "Participant": "sagas.participant",
          "ParticipantAnswer": "sagas.participant_answer", "Saga": "sagas.saga", "SagaHandle": "sagas.saga_handle",
          "SagaStep": "sagas.saga_step", "literal": "sagas.saga_step", "SagaStory": "sagas.saga_answers",
          "StepAnswer": "sagas.saga_answers"}  # fmt: skip


def __getattr__(name: str) -> object:
    """Load the registry when it is first used: the commands, which start for one call, never need it."""
    if name in _LATER:
        from importlib import import_module

        return getattr(import_module(f"gossipreg.client.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
