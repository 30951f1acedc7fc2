"""What is not taken from the streams has a bound."""

import pytest
import trio

from gossipreg.daemon.streams import inbox
from gossipreg.daemon.streams.inbox import StreamInbox, StreamReceived
from gossipreg.streams.values import StreamFault
from tests.daemon.streams.members import question
from tests.streams.ends import BOB


def news(size: int) -> StreamReceived:
    return StreamReceived(BOB.member.id, BOB.member.boot_id, question(1), size)


async def test_bytes_that_are_not_taken_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_INBOX_BYTES", 100)
    box = StreamInbox()
    for _ in range(20):
        box.put_message(news(60))
        box.put_message(news(40))
        with pytest.raises(StreamFault, match="stream_inbox_full"):
            box.put_message(news(1))
        assert [await box.receive(), box.receive_nowait()] == [news(60), news(40)]
    with pytest.raises(trio.WouldBlock):
        box.receive_nowait()


async def test_messages_that_are_not_taken_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_INBOX_MESSAGES", 2)
    box = StreamInbox()
    box.put_message(news(1))
    box.put_message(news(1))
    with pytest.raises(StreamFault, match="stream_inbox_full"):
        box.put_message(news(1))
    await box.receive()
    box.put_message(news(1))
