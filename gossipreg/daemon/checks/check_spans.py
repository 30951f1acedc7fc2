"""The spans of checks: each run that asks something of a service.

Owns: their names and attributes, and how a check hands its trace on: headers of HTTP and gRPC, variables of a command.
A service that is traced so makes its spans of a check a part of ours, and none where ours are not recorded. No span has
a URL, a command or an output.
"""

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from gossipreg.daemon.checks.schedule import Runner
from gossipreg.daemon.checks.spec import CheckOutcome, CheckSpec, Kind, Progress
from gossipreg.model import Health
from gossipreg.trace_context import TRACE_PARENT
from gossipreg.tracing import Attribute, Span, SpanKind, Tracer

HANDS_ON: tuple[Kind, ...] = ("http", "https", "grpc", "grpcs", "cmd")
_LOCAL: tuple[Kind, ...] = ("cmd",)


def traced_runners(runners: Mapping[Kind, Runner], tracer: Tracer) -> Mapping[Kind, Runner]:
    """The same, each run with a span; nothing else where no spans are recorded."""
    if not tracer.on:
        return runners
    return {kind: _traced(runner, tracer) for kind, runner in runners.items()}


def _traced(runner: Runner, tracer: Tracer) -> Runner:
    async def run(spec: CheckSpec, progress: Progress) -> CheckOutcome:
        kind = SpanKind.INTERNAL if spec.kind in _LOCAL else SpanKind.CLIENT
        with tracer.begin(f"check {spec.kind}", kind, None, _about(spec, progress.service)) as span:
            outcome = await runner(_handing_on(spec, span), progress)
            if outcome.health is not Health.PASSING:
                span.end(outcome.health.name.lower())
        return outcome

    return run


def _handing_on(spec: CheckSpec, span: Span) -> CheckSpec:
    named = {name.lower() for name, _ in spec.headers}
    if spec.kind not in HANDS_ON or TRACE_PARENT in named:
        return spec
    return replace(spec, headers=(*spec.headers, *span.headers()))


def _about(spec: CheckSpec, service: str) -> dict[str, Attribute]:
    about: dict[str, Attribute] = {"gossipreg.check.kind": spec.kind, "gossipreg.service.id": service}
    if spec.id:
        about["gossipreg.check.id"] = spec.id
    if spec.kind in _LOCAL:
        return about
    parts = urlsplit(spec.target if "://" in spec.target else f"//{spec.target}")
    if spec.kind in ("http", "https"):
        about["http.request.method"] = spec.method.upper()
    if parts.hostname:
        about["server.address"] = parts.hostname
    if port := parts.port or {"http": 80, "https": 443}.get(spec.kind):
        about["server.port"] = port
    return about
