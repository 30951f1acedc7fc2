"""A name that the sidecar has no room to watch is asked for again, after waits that grow. In virtual time."""

import pytest

from gossipreg.client.watching.conversation import BUSY, Conversation
from gossipreg.client.watching.feed import ServiceFeed
from gossipreg.client.watching.state import SidecarTrust
from gossipreg.errors import Busy
from gossipreg.wire import rpc
from tests.client.talking_sidecar import state


class AskedSidecar:
    """Answers `state`, and each watch with `code`, or well if that is empty."""

    def __init__(self, feed: ServiceFeed, code: str) -> None:
        self.code = code
        self.watches = 0
        self.conversation = Conversation("/s", SidecarTrust(None), [feed])
        self._decoder = rpc.Decoder()

    def answer(self, now: float) -> None:
        data, self.conversation.outgoing[:] = bytes(self.conversation.outgoing), b""
        for _, id, method, _params in self._decoder.feed_untrusted(data):
            if method == "state":
                reply = rpc.encode_reply(id, state())
            else:
                self.watches += 1
                reply = rpc.encode_error(id, self.code, "no") if self.code else rpc.encode_reply(id, {"watch": 7})
            self.conversation.receive_untrusted(reply, now)


def test_a_busy_name_is_asked_again_after_growing_waits() -> None:
    feed = ServiceFeed("web")
    sidecar = AskedSidecar(feed, "busy")
    sidecar.answer(0.0)
    assert isinstance(feed.refused, Busy)
    now, waits = 0.0, []
    for asked in range(2, 11):
        due = sidecar.conversation.due
        sidecar.conversation.pass_time(due - 0.01)
        assert not sidecar.conversation.outgoing
        sidecar.conversation.pass_time(due)
        sidecar.answer(due)
        assert sidecar.watches == asked
        waits.append(due - now)
        now = due
    assert waits[:3] == [BUSY.first_s, 2 * BUSY.first_s, 4 * BUSY.first_s]
    assert waits[-1] == BUSY.longest_s
    sidecar.code = ""
    due = sidecar.conversation.due
    sidecar.conversation.pass_time(due)
    sidecar.answer(due)
    assert feed.refused is None
    assert sidecar.conversation.due == float("inf")


@pytest.mark.parametrize("code", ["bad_params", "too_large"])
def test_a_name_that_no_retry_helps_is_not_asked_again(code: str) -> None:
    sidecar = AskedSidecar(ServiceFeed("web"), code)
    sidecar.answer(0.0)
    assert sidecar.conversation.due == float("inf")
