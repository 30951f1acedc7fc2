"""The method `ask-member`: what a member says of itself, asked over a stream now.

Owns who can be asked, and that the answer comes in bounded time or says that it did not.
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from gossipreg.core.view import View
from gossipreg.daemon import params as check
from gossipreg.daemon.member_figures import QUESTION, MemberFigures
from gossipreg.daemon.params import Check, take_untrusted
from gossipreg.daemon.socket_client import Params, pack
from gossipreg.errors import NotFound, Unavailable, UnknownMethod
from gossipreg.model import NodeId

if TYPE_CHECKING:
    from gossipreg.daemon.events.local_events import LocalEvents

ASK_MEMBER: dict[str, Check] = {"member": check.member_id, "service": check.service_name}


class AskedMember:
    def __init__(
        self, view: View, own: MemberFigures, now: Callable[[], float],
        wanted_events: "Callable[[], Awaitable[LocalEvents]]",
    ) -> None:  # fmt: skip
        """`own` are the figures of this sidecar, which is not asked over a stream."""
        self._view = view
        self._own = own
        self._now = now
        self._wanted_events = wanted_events

    async def method(self, params: Params) -> bytes:
        """{member, service} -> the answer of `MemberFigures.answer`. Raises NotFound, Unavailable."""
        given = take_untrusted("ask-member", params, ASK_MEMBER, "member")
        question = {"service": given["service"]} if "service" in given else {}
        id = NodeId(given["member"])
        return pack(await (self._own.answer(question) if id == self._view.id else self._ask(id, question)))

    async def _ask(self, id: NodeId, question: dict[str, Any]) -> Any:
        member = self._view.member(id, self._now())
        if member is None:
            raise NotFound(f"this sidecar knows no member {id.hex()}: see `gossipreg members`")
        if member.state in ("dead", "left"):
            raise Unavailable(f"{member.name} is {member.state}, so it cannot be asked")
        events = await self._wanted_events()
        [answer] = await events.asked.ask_these([id], QUESTION, question)
        if not answer.code:
            return answer.result
        if answer.code == UnknownMethod.code:
            raise Unavailable(f"{member.name} runs a release that cannot be asked ({member.software or 'an old one'})")
        raise Unavailable(f"{member.name} was asked and has not answered: {answer.result}")
