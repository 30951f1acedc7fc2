"""A stream of the local socket over HTTP that takes further names while it goes on."""

from contextlib import suppress

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon import all_clients
from gossipreg.net.http_framing import BODY_MAX_BYTES, Reader
from tests.daemon.conftest import ME, Sidecar
from tests.daemon.http_client import SocketHttp, gone, http_client


class Following(SocketHttp):
    """A client whose watches are lines of the body of one request."""

    async def begin(self, *lines: bytes) -> None:
        given = [("Host", "sidecar"), ("Content-Type", "application/x-ndjson"), ("Transfer-Encoding", "chunked")]
        await self.stream.send_all(self.begun("POST", "/rpc/watch", given))
        await self.add(*lines)

    async def add(self, *pieces: bytes) -> None:
        await self.stream.send_all(b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces))


async def following(sidecar: Sidecar) -> Following:
    client = Following((await sidecar.client()).stream)
    await client.begin(b'{"names": ["a"], "state": true}\n')
    assert await client.head() == 200
    assert await client.line() == {"result": {"watches": [1]}}
    assert (await client.line())["method"] == "state"
    assert (await client.line())["params"]["watch"] == 1
    return client


async def test_a_stream_takes_further_names_without_another_stream(sidecar: Sidecar) -> None:
    client = await following(sidecar)
    await sidecar.register("b", 1)
    await client.add(b'{"name": "b"}\n{"na', b'mes": ["c", "d"]}\n\n')
    assert await client.line() == {"result": {"watch": 2}}
    current = (await client.line())["params"]
    assert (current["watch"], len(current["change"]["instances"])) == (2, 1)
    assert await client.line() == {"result": {"watches": [3, 4]}}
    assert [(await client.line())["params"]["watch"] for _ in range(2)] == [3, 4]
    for name, watch in (("a", 1), ("b", 2), ("d", 4)):
        await sidecar.register(name, 2)
        change = (await client.line())["params"]
        assert (change["watch"], change["change"]["kind"]) == (watch, "added")


async def test_a_further_name_that_is_refused_leaves_the_stream_as_it_is(sidecar: Sidecar) -> None:
    client = await following(sidecar)
    await client.add(b'{"name": "a b"}\n{\n{"name": "b"}\n')
    for _ in range(2):
        refused = (await client.line())["refused"]
        assert (refused["code"], refused["message"] != "") == ("bad_params", True)
    assert await client.line() == {"result": {"watch": 2}}
    assert len(sidecar.watches) == 2


async def test_a_first_line_that_is_refused_is_a_plain_answer(sidecar: Sidecar) -> None:
    client = Following((await sidecar.client()).stream)
    await client.begin(b'{"name": "a b"}\n')
    assert (await client.answer())[0] == 400
    assert isinstance(await client.event(), h11.ConnectionClosed)


async def test_a_stream_goes_on_when_its_lines_have_ended(sidecar: Sidecar) -> None:
    client = await following(sidecar)
    await client.stream.send_all(b'd\r\n{"name": "b"}\r\n0\r\n\r\n')  # the last line needs no end
    assert await client.line() == {"result": {"watch": 2}}
    assert (await client.line())["params"]["watch"] == 2
    await client.stream.send_all(b"of no interest")
    await sidecar.register("a", 1)
    assert (await client.line())["params"]["watch"] == 1


@pytest.mark.parametrize(
    ("sent", "code"),
    [(b"zz\r\n", "bad_request"), (b"%x\r\n" % (BODY_MAX_BYTES + 1) + b"x" * (BODY_MAX_BYTES + 1), "too_large")],
)
async def test_lines_that_cannot_be_read_end_the_stream_with_a_word(sidecar: Sidecar, sent: bytes, code: str) -> None:
    client = await following(sidecar)
    with suppress(trio.BrokenResourceError):
        await client.stream.send_all(sent)
    assert (await client.line())["error"]["code"] == code
    with pytest.raises(EOFError):
        await client.line()
    await gone(sidecar, 0)
    assert len(sidecar.watches) == 0


async def test_a_line_in_pieces_counts_among_the_parts_of_all_requests(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_clients, "MAX_HELD_BYTES", 1000)
    client = await following(sidecar)
    await client.add(b"x" * 100_000)
    assert (await client.line())["error"]["code"] == "busy"
    with pytest.raises(EOFError):
        await client.line()


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line), min_size=1, max_size=8), st.data())
def test_lines_are_the_same_however_the_bytes_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    body = b"".join(line + b"\n" for line in lines)
    chunks = cut(body, data.draw(st.sets(st.integers(0, len(body)))))
    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + sent + b"behind it"
    reader = Reader(ME, lambda _: None, lambda _: True)
    found: list[bytes] = []
    for piece in cut(request, data.draw(st.sets(st.integers(0, len(request))))):
        if found and not reader.in_body:
            break  # all that follows is behind the request
        reader.feed(piece)
        while (one := reader.next_untrusted()) is not None or reader.more:
            found += [] if one is None else [one[1]]
            if not reader.in_body:
                break
    assert found == [*lines, b""], "the end of the body counts as a line, which is empty here"


def cut(data: bytes, places: set[int]) -> list[bytes]:
    """The data in pieces, which end at these places. None is empty."""
    ends = sorted({*places, len(data)} - {0})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


async def test_subscription_without_lines_acknowledges_nothing_and_is_refused(sidecar: Sidecar) -> None:
    """A request with its whole body, as `curl -d` sends it: its events would come again until they are dead letters."""
    client = await http_client(sidecar)
    status, answer = await client.call("subscribe", {"pattern": "order.*", "group": "mail"})
    assert (status, answer["error"]["code"]) == (400, "bad_params")
    assert "leave the body open" in answer["error"]["message"]
