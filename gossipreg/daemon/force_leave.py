"""The method `force-leave`: an operator declares members that are dead or suspected here left, for everybody.

Owns which members a text names. A name never means a living member if a dead one has it too, so the name is enough even
if a living member has taken the dead one's place.
"""

from typing import TYPE_CHECKING, Any

from gossipreg.callers import Caller
from gossipreg.core.table.names import ID_DIGITS
from gossipreg.daemon import params as check
from gossipreg.daemon.audit import Audit
from gossipreg.daemon.logs import Log
from gossipreg.daemon.params import take_untrusted
from gossipreg.daemon.pump import Pump
from gossipreg.daemon.socket_client import SocketClient, pack
from gossipreg.errors import NotFound
from gossipreg.model import MemberInfo, fold_name

if TYPE_CHECKING:
    from gossipreg.core.node import Node


class ForceLeave:
    def __init__(self, node: "Node", pump: Pump, log: Log, audit: Audit) -> None:
        self._node = node
        self._pump = pump
        self._log = log
        self._audit = audit

    def method(self, params: dict[str, Any], client: SocketClient) -> bytes:
        """{member}: a name, an id, or the first 8 digits of one or more. The result: {left: [{id, name}]}."""
        given = take_untrusted("force-leave", params, {"member": check.word}, "member")
        left = self.declare(given["member"], client.caller)
        return pack({"left": [{"id": one.id.hex(), "name": one.name} for one in left]})

    def declare(self, text: str, by: Caller) -> list[MemberInfo]:
        """Declare the members that `text` names left, and return them. Raises NotFound, or Refused if all of them are
        alive or have left. A dead one that was replaced by a living one of its name counts, though no list shows it."""
        now = self._pump.now()
        found = meant([*self._node.members(now), *self._node.replaced_members(now)], text)
        for one in found:
            self._declare(one, by)
        return found

    def _declare(self, one: MemberInfo, by: Caller) -> None:
        self._pump.order(lambda now: self._node.force_leave(one.id, now))
        fields = self._audit.record("force-leave", one.name, by)
        self._log.info("force_leave", id=one.id.hex(), name=one.name, state=one.state, **fields)


def meant(members: list[MemberInfo], text: str) -> list[MemberInfo]:
    """The members that are gone and have this name, in any case, or this id. If there are none, one that cannot be
    declared left, so that the caller learns why. Raises NotFound if the text names no member."""
    wanted = fold_name(text)
    base, _, digits = wanted.rpartition(".")
    found = [one for one in members if fold_name(one.name) == wanted]
    if not found and len(digits) >= ID_DIGITS:
        of_id = [one for one in members if one.id.hex().startswith(digits)]
        found = [one for one in of_id if base in ("", fold_name(one.name))]
    gone = [one for one in found if one.state in ("dead", "suspect")]
    if not found:
        raise NotFound(f"there is no member {text!r}: see `gossipreg members` for names and ids")
    return gone or found[:1]
