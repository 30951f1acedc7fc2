"""Every interface gives the same answer to the question whether a member lives, whatever the state of its row."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trio

from gossipreg.core.table.membership import MembershipIndex
from gossipreg.core.table.row import Row, Standing
from gossipreg.gateway.dns.directory import list_members
from gossipreg.model import Liveness, Rank, Status
from gossipreg.net.http_message import Request, Response
from gossipreg.wire.shapes import member_shape
from tests.core.speaker import Speaker
from tests.daemon.memory_network import MemoryNetwork
from tests.gateway.http.conftest import Served

STATES = list(product(Rank, Status, [False, True], [False, True], [False, True], [False, True]))
"""Rank of the claim; status in the member's own entry; whether that entry is of an older run than the claim; whether
the member is hidden; quarantined; declared left by an operator."""


class Known:
    """A sidecar that knows one other member, asked through each of its interfaces."""

    def __init__(self, served: Served) -> None:
        self.node = served.node
        self._served = served
        self._speaker = Speaker(7, keyring=None)
        self._speaker.handshake(served.node, trio.current_time())
        self.row: Row = served.node.table.rows[self._speaker.id]
        self._entry, self._generation = self.row.member, self.row.liveness.generation

    def become(self, rank: Rank, status: Status, older: bool, hidden: bool, quarantined: bool, declared: bool) -> None:
        row = self.row
        assert self._entry is not None
        row.liveness = Liveness(self._generation + older, 1, rank)
        row.member = replace(self._entry, status=status)
        row.hidden, row.quarantined = hidden, quarantined
        row.reporter = row.id if declared else None
        self._served.http.api.answers.changed([])  # answers are kept for a second

    def wait_until_suspected(self) -> None:
        """Let the member miss its probes."""
        now = trio.current_time()
        while (info := self.node.member(self.row.id, now)) is not None and info.state != "suspect":
            now = self.node.next_deadline()
            self.node.advance(now)
        assert info is not None

    async def answers(self) -> dict[str, bool]:
        """Whether the member lives, by interface."""
        return {
            "view": self.node.standing(self.row.id) is Standing.LIVES,
            "socket": self._by_socket(),
            "info": await self._by_info(),
            "HTTP node": self._by_http_node(),
            "HTTP members": self._by_http_members(),
            "HTTP peers": str(self._speaker.address) in self._http("v1", "status", "peers"),
            "DNS": any(map(self._is_it, list_members(self.node).by_name.get(b"speaker-7", []))),
            "metrics": await self._by_metrics(),
        }

    def _is_it(self, member: object) -> bool:
        return member is self.row.member

    def _by_socket(self) -> bool:
        listed = [member_shape(one) for one in self.node.members(trio.current_time())]
        return any(one["id"] == self.row.id.hex() and one["state"] in ("alive", "suspect") for one in listed)

    async def _by_info(self) -> bool:
        members = (await self._served.methods.info.figures())["members"]
        return bool(members["alive"] + members["suspect"] == 2)

    def _by_http_node(self) -> bool:
        checks = self._http("v1", "health", "node", str(UUID(bytes=bytes(self.row.id))))
        return any(one["CheckID"] == "serfHealth" and one["Status"] == "passing" for one in checks)

    def _by_http_members(self) -> bool:
        listed = self._http("v1", "agent", "members")
        return any(one["Name"] == "speaker-7" and one["Status"] == 1 for one in listed)

    def _http(self, *path: str) -> Any:
        answer = self._served.http.api.answer(Request("GET", path, {}))
        assert isinstance(answer, Response)
        assert answer.status == 200
        return json.loads(answer.body)

    async def _by_metrics(self) -> bool:
        monitoring = self._served.http.api.parts.monitoring
        text = (await monitoring.metrics(Request("GET", ("metrics",), {}))).body.decode()
        counts = dict(re.findall(r'gossipreg_members\{state="(\w+)"\} (\d+)', text))
        return int(counts["alive"]) + int(counts["suspect"]) == 2


@pytest.fixture
async def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Known]:
    monkeypatch.setattr(MembershipIndex, "hidden_since", lambda *_: 0.0)  # `become` hides a row without its reason
    served = Served(tmp_path, MemoryNetwork(), "one")
    served.seek()
    yield Known(served)
    served.close()


async def test_all_interfaces_agree_which_members_live(known: Known) -> None:
    seen: set[bool] = set()
    for rank, status, older, hidden, quarantined, declared in STATES:
        known.become(rank, status, older, hidden, quarantined, declared)
        left = status is Status.LEFT and not older
        lives = not (rank is Rank.DEAD or left or hidden or quarantined)
        state = f"{rank.name} {status.name} {older=} {hidden=} {quarantined=} {declared=}"
        answers = await known.answers()
        assert answers == dict.fromkeys(answers, lives), state
        seen.add(lives)
    assert seen == {False, True}


async def test_only_a_member_that_lives_answers(known: Known) -> None:
    for state in STATES:
        known.become(*state)
        assert known.row.answers <= (known.node.standing(known.row.id) is Standing.LIVES)


async def test_a_suspect_lives_for_all_interfaces(known: Known) -> None:
    known.wait_until_suspected()
    assert all((await known.answers()).values())
