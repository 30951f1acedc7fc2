"""Following the history on the local socket: no line is missing, and none comes twice."""

from pathlib import Path
from typing import Any

import pytest
import trio

from gossipreg.daemon.history.history import History
from gossipreg.daemon.history.history_disk import HistoryDisk
from gossipreg.daemon.history.history_follow import HistoryFollows
from gossipreg.history.history_line import NamedMember
from tests.daemon.conftest import Client, Sidecar
from tests.daemon.history.test_history_disk import Told

OWN = NamedMember("00" * 16, "tested")


@pytest.fixture
def history(sidecar: Sidecar) -> History:
    return sidecar.history


async def lines_of(client: Client, follow: int) -> list[dict[str, Any]]:
    kind, method, params = await client.next()
    assert (kind, method, params["follow"]) == ("notification", "history", follow)
    lines: list[dict[str, Any]] = params["lines"]
    return lines


def note(history: History, number: int, service: str = "") -> None:
    history.note(f"kind_{number}", f"line {number}", service=service)


async def test_lines_come_as_they_happen_after_the_page(history: History, sidecar: Sidecar) -> None:
    for number in range(3):
        note(history, number)
    client = await sidecar.client()
    page = await client.call("history", follow=True, after=0)
    assert [line["message"] for line in page["lines"]] == ["line 0", "line 1", "line 2"]
    note(history, 3)
    note(history, 4)
    seen = await lines_of(client, page["follow"]) + await lines_of(client, page["follow"])
    assert [line["seq"] for line in page["lines"] + seen] == [1, 2, 3, 4, 5]


async def test_a_page_with_more_behind_it_follows_nothing(history: History, sidecar: Sidecar) -> None:
    for number in range(5):
        note(history, number)
    client = await sidecar.client()
    page = await client.call("history", follow=True, after=0, limit=2)
    assert (page["more"], "follow" in page) == (True, False)
    rest = await client.call("history", follow=True, after=page["lines"][-1]["seq"], limit=3)
    assert (rest["more"], "follow" in rest) == (False, True)


async def test_a_client_that_goes_before_its_page_is_there_harms_nothing(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    follows = HistoryFollows(history, lambda _: None)

    async def gone(params: dict[str, Any]) -> dict[str, Any]:
        del params
        follows.end_all()
        raise OSError("the page cannot be read")

    monkeypatch.setattr(history, "page", gone)
    with pytest.raises(OSError, match="cannot be read"):
        await follows.begin({})
    assert len(follows) == 0


async def test_only_lines_that_fit_come(history: History, sidecar: Sidecar) -> None:
    client = await sidecar.client()
    page = await client.call("history", follow=True, service="billing")
    note(history, 1, "stock")
    note(history, 2, "Billing")
    assert [line["message"] for line in await lines_of(client, page["follow"])] == ["line 2"]


async def test_following_ends_when_it_is_asked_to(history: History, sidecar: Sidecar) -> None:
    client = await sidecar.client()
    page = await client.call("history", follow=True)
    assert await client.call("history-end", follow=page["follow"]) == {}
    note(history, 1)
    assert (await client.call("history-end", follow=page["follow"]))[0] == "not_found"


async def test_a_connection_follows_a_bounded_number_of_times(history: History, sidecar: Sidecar) -> None:
    del history
    client = await sidecar.client()
    answers = [await client.call("history", follow=True) for _ in range(17)]
    assert ["follow" in one for one in answers[:16]] == [True] * 16
    assert answers[16][0] == "busy"


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"since": 1, "since_s": 2}, "give one of them"), ({"after": 1, "before": 2}, "give one of them"),
        ({"since": "8h"}, "give seconds"), ({"limit": 5001}, "from 1 to 5000"), ({"until": -1}, "give seconds"),
        ({"member": ""}, "bytes"), ({"kind": "a\nb"}, "control characters"), ({"follow": 1}, "true or false"),
        ({"what": 1}, "no parameter"), ({"since": float("nan")}, "give seconds"),
    ],
)  # fmt: skip
async def test_bad_parameters_are_refused(
    history: History, sidecar: Sidecar, params: dict[str, Any], fault: str
) -> None:  # fmt: skip
    del history
    client = await sidecar.client()
    code, text = await client.call("history", **params)
    assert (code, fault in text) == ("bad_params", True), text


async def test_lines_that_come_while_the_disk_is_read_follow_the_page(tmp_path: Path) -> None:
    disk = HistoryDisk(tmp_path, Told(), space_bytes=8 << 20, boot_id="", keep_from=lambda: None)
    history = History(OWN, lambda _where, error: pytest.fail(str(error)), disk=disk)
    notified: list[dict[str, Any]] = []
    follows = HistoryFollows(history, notified.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(history.run)
        seen: list[int] = []
        for number in range(0, 90, 3):
            note(history, number)
            nursery.start_soon(note_later, history, number + 1)
            page, first = await follows.begin({"after": seen[-1] if seen else 0})
            note(history, number + 2)
            lines = [*page["lines"], *(first or {"lines": []})["lines"]]
            lines += [line for one in notified if one["follow"] == page["follow"] for line in one["lines"]]
            seen += [line["seq"] for line in lines]
            follows.end(page["follow"])
        nursery.cancel_scope.cancel()
    assert seen == list(range(1, 91))
    await history.finish()


async def note_later(history: History, number: int) -> None:
    await trio.lowlevel.checkpoint()
    note(history, number)


async def test_a_gateway_follows_until_its_block_ends(history: History) -> None:
    seen: list[str] = []
    with history.following("page", {"service": "billing"}, lambda line: seen.append(line["message"])):
        note(history, 1, "billing")
        note(history, 2)
    note(history, 3, "billing")
    assert seen == ["line 1"]
