"""Questions of other members that the sidecar itself answers, over the same messages as those about events.

Owns: that each is answered, beside all else, and how many are at a time. Never knows: what is asked; each question has
a name and a function. A member of an older release answers `unknown_method`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import trio
from msgpack import packb

from gossipreg.errors import BadParams, Busy, GossipregError, TooLarge
from gossipreg.events.messages import MAX_REPLY_BYTES, EventsCall, EventsReply
from gossipreg.model import NodeId
from gossipreg.wire.packed import unpacked_untrusted

AT_ONCE_MAX = 16
"""Questions that are answered at the same time; a member asks one at a time of each kind that somebody looks at."""

OwnAnswer = Callable[[dict[str, Any]], Awaitable[Any]]
"""Parameters in, the result out: a value that MessagePack can carry. Raises GossipregError."""


class OwnAnswers:
    def __init__(
        self, answers: Mapping[str, OwnAnswer], send: Callable[[NodeId, EventsReply], None],
        bug: Callable[[str, Exception], None],
    ) -> None:  # fmt: skip
        """`answers` by the name of the question."""
        self._answers = answers
        self._send = send
        self._bug = bug
        self._running = 0
        self._nursery: trio.Nursery | None = None

    async def run(self) -> None:
        """Until cancelled; before, every question is refused as busy."""
        async with trio.open_nursery() as self._nursery:
            await trio.sleep_forever()

    def takes(self, node: NodeId, call: EventsCall) -> bool:
        """Answer it, if it is a question for the sidecar itself."""
        if call.method not in self._answers:
            return False
        if self._nursery is None or self._running >= AT_ONCE_MAX:
            self._refuse(node, call, Busy.code, f"{self._running} questions are being answered: ask again")
            return True
        self._running += 1
        self._nursery.start_soon(self._answer, node, call)
        return True

    async def _answer(self, node: NodeId, call: EventsCall) -> None:
        try:
            params = unpacked_untrusted(call.params, "the parameters")
            if type(params) is not dict:
                raise BadParams("the parameters are no map")
            result = packb(await self._answers[call.method](params))
            if len(result) > MAX_REPLY_BYTES:
                raise TooLarge(f"the answer has {len(result)} bytes, and {MAX_REPLY_BYTES} fit: ask for less")
            self._send(node, EventsReply(number=call.number, code="", result=result))
        except GossipregError as error:
            self._refuse(node, call, error.code, str(error))
        except Exception as error:
            self._bug("own_answer", error)
            self._refuse(node, call, "refused", "this failed inside the sidecar, and its log says how")
        finally:
            self._running -= 1

    def _refuse(self, node: NodeId, call: EventsCall, code: str, text: str) -> None:
        self._send(node, EventsReply(number=call.number, code=code, result=packb(text)))
