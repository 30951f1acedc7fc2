"""Which connections are the program of a saga, and when it is lost."""

from collections.abc import Sequence

import pytest

from gossipreg.callers import Caller
from gossipreg.daemon.sagas import saga_programs
from gossipreg.daemon.sagas.saga_programs import SagaPrograms
from gossipreg.daemon.socket_client import SocketClient
from gossipreg.errors import Busy
from gossipreg.journal.model import JournalId
from gossipreg.sagas.saga_model import SagaRef

ONE, TWO = (SagaRef(JournalId(b"j" * 16), id) for id in ("one", "two"))


class Told:
    def __init__(self) -> None:
        self.said: list[tuple[str, set[SagaRef]]] = []
        self.programs = SagaPrograms(self._noting("here"), self._noting("lost"))

    def _noting(self, what: str):  # type: ignore[no-untyped-def]
        def note(sagas: Sequence[SagaRef]) -> None:
            self.said.append((what, set(sagas)))

        return note


def connection(pid: int = 5, uid: int = 1000) -> SocketClient:
    return SocketClient(Caller(uid, pid, door="socket"))


def test_program_is_lost_with_its_connection() -> None:
    told, client = Told(), connection()
    told.programs.spoke(client, ONE)
    told.programs.spoke(client, TWO)
    assert client.sagas == len(told.programs) == 2
    told.programs.gone(client)
    told.programs.gone(client)
    assert told.said == [("here", {ONE}), ("here", {TWO}), ("lost", {ONE, TWO})]
    assert (client.sagas, len(told.programs)) == (0, 0)


def test_program_with_two_connections_is_lost_with_the_last() -> None:
    told, first, second = Told(), connection(), connection()
    told.programs.spoke(first, ONE)
    told.programs.spoke(second, ONE)
    told.programs.gone(second)
    assert told.said == [("here", {ONE})]
    told.programs.gone(first)
    assert told.said == [("here", {ONE}), ("lost", {ONE})]


def test_program_that_speaks_again_has_come_back() -> None:
    told, first, second = Told(), connection(), connection()
    told.programs.spoke(first, ONE)
    told.programs.gone(first)
    told.programs.spoke(second, ONE)
    told.programs.spoke(second, ONE)
    assert told.said == [("here", {ONE}), ("lost", {ONE}), ("here", {ONE})]
    assert len(told.programs) == 1


def test_another_process_that_speaks_is_the_program_from_then_on() -> None:
    told, first, second = Told(), connection(5), connection(6, uid=7)
    told.programs.spoke(first, ONE)
    told.programs.spoke(second, ONE)
    told.programs.gone(first)
    assert (told.said[-1], told.programs.uid(ONE)) == (("here", {ONE}), 7)
    told.programs.gone(second)
    assert told.said[-1] == ("lost", {ONE})


def test_connections_without_a_pid_stand_for_themselves() -> None:
    told, first, second = Told(), connection(0), connection(0)
    told.programs.spoke(first, ONE)
    told.programs.spoke(second, ONE)
    told.programs.gone(second)
    assert told.said == [("here", {ONE}), ("here", {ONE}), ("lost", {ONE})]


def test_decided_saga_holds_no_connection() -> None:
    told, client = Told(), connection()
    told.programs.spoke(client, ONE)
    told.programs.forget(ONE)
    told.programs.forget(ONE)
    told.programs.gone(client)
    assert (told.said, client.sagas, told.programs.uid(ONE)) == ([("here", {ONE})], 0, None)


def test_connection_that_ended_before_the_answer_is_a_lost_program() -> None:
    told, client = Told(), connection()
    client.gone = True
    told.programs.spoke(client, ONE)
    assert told.said == [("here", {ONE}), ("lost", {ONE})]


def test_user_of_a_lost_program_is_remembered_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_programs, "MAX_REMEMBERED", 1)
    told, client = Told(), connection()
    told.programs.spoke(client, ONE)
    told.programs.gone(client)
    assert told.programs.uid(ONE) == 1000
    other = connection()
    told.programs.spoke(other, TWO)
    told.programs.gone(other)
    assert (told.programs.uid(ONE), told.programs.uid(TWO)) == (None, 1000)


def test_connection_may_have_so_many_sagas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_programs, "MAX_SAGAS_A_CONNECTION", 1)
    told, client = Told(), connection()
    told.programs.check_room(client)
    told.programs.spoke(client, ONE)
    with pytest.raises(Busy, match="this connection has 1 sagas"):
        told.programs.check_room(client)
    told.programs.check_room(client, ONE)
    told.programs.check_room(connection())
