"""What `gossipreg xds show` shows: who is connected, what each client is subscribed to, has accepted and refused."""

from collections.abc import Iterable
from typing import Any

from gossipreg.gateway.xds.model import WILDCARD
from gossipreg.gateway.xds.streams.ads_stream import AdsStream
from gossipreg.gateway.xds.streams.subscription import RefusedResponse, TypeSubscription

Shape = dict[str, Any]
NAMES_SHOWN = 100
"""Names of one type of one client; `total` says how many there are."""
REFUSALS_SHOWN = 10


def shown_streams(
    streams: Iterable[AdsStream], now: float, *, name: str = "", client: str = "", after: int = 0, limit: int = 100
) -> list[Shape]:
    """Those with a number after `after`, in the order in which they began. With `name` only those that are subscribed
    to that name, in any case, and only the types in which they are; with `client` only clients with this text in their
    id or with this address."""
    found: list[Shape] = []
    for stream in streams:
        if stream.number <= after or not _is_client(stream, client):
            continue
        types = [_type_shape(one, name) for one in stream.subscriptions.values() if not name or _names(one, name)]
        if types or not name:
            found.append(_stream_shape(stream, types, now))
        if len(found) == limit:
            break
    return found


def _is_client(stream: AdsStream, client: str) -> bool:
    return not client or client in stream.node.id or client == stream.peer


def _names(subscription: TypeSubscription, name: str) -> list[str]:
    folded = name.casefold()
    return sorted(one for one in subscription.covered() if one.casefold() == folded)


def _stream_shape(stream: AdsStream, types: list[Shape], now: float) -> Shape:
    node = stream.node
    return {
        "number": stream.number,
        "id": node.id,
        "kind": node.kind.value,
        "agent": node.agent,
        "version": node.version,
        "cluster": node.cluster,
        "service": node.service,
        "region": node.region,
        "zone": node.zone,
        "peer": stream.peer,
        "form": stream.form,
        "since_s": round(now - stream.since, 3),
        "types": types,
        "unserved": sorted(stream.unserved),
        "withheld": stream.withheld()[:REFUSALS_SHOWN],
    }


def _type_shape(one: TypeSubscription, name: str) -> Shape:
    names = _names(one, name) if name else sorted(one.covered())
    return {
        "type": one.type.name.lower(),
        "names": [*([WILDCARD] if one.wildcard and not name else []), *names[:NAMES_SHOWN]],
        "total": len(names),
        "sent": one.version,
        "acked": one.acked,
        "unanswered": len(one.unacked),
        "unknown": len(one.unknown),
        "refused": _refusals(one, set(names)),
    }


def _refusals(one: TypeSubscription, names: set[str]) -> list[Shape]:
    """Each refused response once, with the names in it that are still refused."""
    found: dict[RefusedResponse, list[str]] = {}
    for name, refusal in one.refused.items():
        if name in names:
            found.setdefault(refusal, []).append(name)
    return [
        {"version": refusal.version, "why": refusal.text, "names": sorted(of)[:NAMES_SHOWN]}
        for refusal, of in found.items()
    ][:REFUSALS_SHOWN]
