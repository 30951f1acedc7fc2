"""The methods `maint` and `drain`: take a service, or this whole sidecar, out of the answers, and back in.

Owns their parameters and results. `maint` answers when it is on the disk and announced; `drain` does the same
and then waits until every living member has acked it, so that nobody gives the service out any more.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from gossipreg.callers import Caller
from gossipreg.daemon import params as check
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.row_acks import RowAckWaits
from gossipreg.daemon.services import Services
from gossipreg.daemon.socket_client import Begun, pack
from gossipreg.daemon.store import Write
from gossipreg.model import NodeId
from gossipreg.wire.shapes import Shape

DRAIN_TIMEOUT_S = 10.0
NAMED_MAX = 100
"""Members without an ack that an answer names; their number is exact."""

_MAINT: dict[str, Check] = {"service": check.word, "off": check.boolean, "reason": check.note}
_DRAIN: dict[str, Check] = {**_MAINT, "timeout": check.wait_seconds}


class MaintenanceMethods:
    def __init__(self, services: Services, acks: RowAckWaits, name: Callable[[NodeId], str]) -> None:
        """`name(id)` is the name of a member, for people."""
        self._services = services
        self._acks = acks
        self._name = name

    def maint(self, params: dict[str, Any], by: Caller) -> Begun[bool]:
        """{service, off, reason}: without `service` the whole sidecar. The result: {durable: whether it is on the disk;
        false on a full disk, and the write is then repeated; and with `off` still_out: what is out of the answers all
        the same, and why, else empty}."""
        write, more = self._maint(take_untrusted("maint", params, _MAINT), by)
        return Begun(write, lambda durable: pack({"durable": durable, **more}))

    def drain(self, params: dict[str, Any], by: Caller) -> Awaitable[Shape]:
        """As `maint`, and {timeout} in seconds: answered once all living members have acked it, or at the timeout.
        The result: {durable, acked: whether all have, missing: how many have not, members: the names of those,
        not_synced_because: why this sidecar cannot know all members, else empty}."""
        return self._drain(take_untrusted("drain", params, _DRAIN), by)

    def _maint(self, given: dict[str, Any], by: Caller) -> tuple[Write[bool], Shape]:
        """The write, and what the result has beside whether it is on the disk."""
        reason = None if given.get("off", False) else given.get("reason", "")
        write = self._services.begin_maintain(given.get("service"), reason, by=by)
        return write, {} if reason is not None else {"still_out": self._still_out(given.get("service"))}

    def _still_out(self, service: str | None) -> str:
        """What other maintenance keeps out of the answers, after that of `service`, or None of all, was ended."""
        ids = [one["service"] for one in self._services.in_maintenance()]
        if service is not None:
            whole = f"{service}: the whole sidecar is in maintenance; `gossipreg maint --off` ends that"
            return whole if None in ids else ""
        more = f" and {len(ids) - NAMED_MAX} more" if len(ids) > NAMED_MAX else ""
        each = "each has a maintenance of its own; `gossipreg maint --off --service ID` ends one"
        return f"{', '.join(ids[:NAMED_MAX])}{more}: {each}" if ids else ""

    async def _drain(self, given: dict[str, Any], by: Caller) -> Shape:
        write, more = self._maint(given, by)
        durable = await write.result()
        missing, not_synced = await self._acks.wait(given.get("timeout", DRAIN_TIMEOUT_S))
        return {
            "durable": durable,
            **more,
            "acked": not missing and not not_synced,
            "missing": len(missing),
            "members": sorted(self._name(id) for id in missing[:NAMED_MAX]),
            "not_synced_because": not_synced,
        }
