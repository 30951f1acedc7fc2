"""A participant keeps its three rules, in SQLite and PostgreSQL, beside itself and after its own end."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg import BadParams, Participant, ParticipantAnswer, Refused, TooLarge
from gossipreg.client.sagas.participant_answer import TRIED_AGAIN, UNDONE_TOO
from gossipreg.sagas.step_outcome import StepOutcome, step_outcome, undo_outcome
from scripts.tools.wait import wait_for
from tests.client.outbox.conftest import postgres  # noqa: F401  # a fixture
from tests.client.outbox.databases import Database, sqlite_database

KEY = f"{'ab' * 16}.s1/reserve"
Act = Callable[[], object]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.wide)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "postgres":
        return with_table(request.getfixturevalue("postgres")())
    return with_table(sqlite_database(str(tmp_path / "stock.db")))


def with_table(database: Database) -> Database:
    with closing(database.connect()) as connection:
        Participant(connection).create_table()
        Participant(connection).create_table()
        connection.execute("CREATE TABLE done (what TEXT)")
        connection.commit()
    return database


class Stock:
    """A participant whose work writes a row for each time that it runs."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def do(self, key: str = KEY, answer: object = None, *, before: Act = lambda: None, **options: Any) -> Any:
        return self._call("do", key, answer, before, options)

    def undo(self, key: str = KEY, answer: object = None, *, before: Act = lambda: None, **options: Any) -> Any:
        return self._call("undo", key, answer, before, options)

    def _call(self, what: str, key: str, answer: object, before: Act, options: dict[str, Any]) -> ParticipantAnswer:
        with closing(self.database.connect()) as connection:

            def work() -> object:
                connection.execute(f"INSERT INTO done VALUES ('{what}')")
                before()
                return answer

            found: ParticipantAnswer = getattr(Participant(connection), what)(key, work, **options)
            return found

    @property
    def done(self) -> list[str]:
        return [row[0] for row in self.database.query("SELECT what FROM done")]

    @property
    def keys(self) -> int:
        return int(self.database.query("SELECT count(*) FROM gossipreg_participant")[0][0])


@pytest.fixture
def stock(database: Database) -> Stock:
    return Stock(database)


def test_a_key_has_its_effect_once_and_the_first_answer_for_ever(stock: Stock) -> None:
    first = stock.do(answer=ParticipantAnswer(201, {"id": 7}))
    assert (first.status, first.body, first.content_type, first.is_repeat) == (
        201, b'{"id":7}', "application/json", False,
    )  # fmt: skip
    again = stock.do(answer={"id": 8})
    assert (again.status, again.body, again.content_type, again.is_repeat) == (
        201, b'{"id":7}', "application/json", True,
    )  # fmt: skip
    assert stock.do("other", answer={"id": 8}).body == b'{"id":8}'
    assert stock.done == ["do", "do"]


def test_an_undo_runs_once_and_the_key_is_refused_for_ever(stock: Stock) -> None:
    stock.do()
    assert (stock.undo().status, stock.undo().status) == (204, 204)
    assert stock.do().status == 410
    assert stock.do().status == 410
    assert stock.done == ["do", "undo"]


def test_an_undo_of_what_never_came_does_nothing_and_forbids_it(stock: Stock) -> None:
    assert stock.undo().is_done
    assert stock.do().status == 410
    assert stock.undo().is_done
    assert stock.done == []


def test_a_refusal_leaves_no_effect_is_given_again_and_needs_no_undo(stock: Stock) -> None:
    refusal = ParticipantAnswer(422, {"why": "no tea"})
    assert (stock.do(answer=refusal).status, stock.do().status) == (422, 422)
    assert stock.do().body == b'{"why":"no tea"}'
    assert stock.undo().status == 204
    assert stock.do().status == 410
    assert stock.done == []


@pytest.mark.parametrize("status", [500, 503, *sorted(TRIED_AGAIN)])
def test_an_answer_that_is_tried_again_leaves_nothing(stock: Stock, status: int) -> None:
    assert stock.do(answer=ParticipantAnswer(status)).status == status
    assert (stock.done, stock.keys) == ([], 0)
    assert stock.do().is_done
    if status not in UNDONE_TOO:
        assert stock.undo(answer=ParticipantAnswer(status)).status == status
        assert stock.do().is_done
    assert stock.undo().is_done
    assert stock.done == ["do", "undo"]


def test_an_undo_stays_if_the_engine_takes_it_as_undone() -> None:
    with memory_database() as connection:
        connection.execute("CREATE TABLE done (what INTEGER)")
        connection.commit()
        participant = Participant(connection)
        for status in range(200, 600):

            def release(status: int = status) -> ParticipantAnswer:
                connection.execute("INSERT INTO done VALUES (?)", (status,))
                return ParticipantAnswer(status)

            key = f"key-{status}"
            participant.do(key, lambda: None)
            assert participant.undo(key, release).status == status
            stays = undo_outcome(status, sent=True) is StepOutcome.DONE
            held = connection.execute("SELECT count(*) FROM done WHERE what = ?", (status,)).fetchone()
            assert held == (int(stays),), status
            again = participant.undo(key, lambda: None)
            assert (again.status, again.is_repeat) == ((status, True) if stays else (204, False))
            assert participant.do(key, lambda: None).status == 410


@pytest.mark.parametrize("what", ["do", "undo"])
def test_a_work_that_raises_leaves_nothing(stock: Stock, what: str) -> None:
    def fails() -> None:
        raise ZeroDivisionError

    if what == "undo":
        stock.do()
    before = stock.done, stock.keys
    with pytest.raises(ZeroDivisionError):
        getattr(stock, what)(before=fails)
    assert (stock.done, stock.keys) == before
    assert getattr(stock, what)().is_done


@pytest.mark.parametrize("ends_well", [True, False])
@pytest.mark.parametrize("second", ["do", "undo"])
def test_the_second_of_two_at_once_waits_for_the_first(stock: Stock, second: str, ends_well: bool) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert may_end.wait(30)
        if not ends_well:
            raise ZeroDivisionError

    with ThreadPoolExecutor(2) as threads:
        running = threads.submit(stock.do, before=hold)
        assert begun.wait(30)
        waiting = threads.submit(getattr(stock, second))
        if stock.database.name == "postgres":
            blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            wait_for(lambda: stock.database.query(blocked) == [(1,)], what="the second waits for the first")
        assert not waiting.done()
        may_end.set()
        assert isinstance(running.exception(30), type(None) if ends_well else ZeroDivisionError)
        assert waiting.result(30).is_done
    expected = {("do", True): ["do"], ("do", False): ["do"], ("undo", True): ["do", "undo"], ("undo", False): []}
    assert stock.done == expected[second, ends_well]


def test_many_at_once_at_several_instances_do_it_once(stock: Stock) -> None:
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: stock.do(answer={"n": number}), range(24)))
        assert len({answer.body for answer in answers}) == 1
        assert sum(not answer.is_repeat for answer in answers) == 1
        assert all(answer.is_done for answer in threads.map(lambda _: stock.undo(), range(16)))
    assert stock.done == ["do", "undo"]


def test_with_commit_false_the_program_commits(database: Database) -> None:
    with closing(database.connect()) as connection:
        participant = Participant(connection)
        assert participant.do(KEY, lambda: 1, commit=False).is_done
        connection.rollback()
        assert not participant.do(KEY, lambda: 2, commit=False).is_repeat
        assert participant.do("other", lambda: ParticipantAnswer(503), commit=False).status == 503
        connection.commit()
        assert participant.do(KEY, lambda: 3).body == b"2"
        assert Stock(database).keys == 1
        connection.execute("INSERT INTO done VALUES ('own')")
        with pytest.raises(Refused, match="commit=False"):
            participant.do(KEY, lambda: 4)


def test_keys_that_are_too_old_go_with_new_ones(stock: Stock) -> None:
    for number in range(10):
        stock.do(f"key-{number}")
    ninety = "noted_at - 90 * 86400 - 9" if stock.database.name == "sqlite" else "noted_at - interval '91 days'"
    stock.database.execute(f"UPDATE gossipreg_participant SET noted_at = {ninety} WHERE key <> 'key-9'")
    assert [stock.do(f"new-{number}") and stock.keys for number in range(3)] == [7, 4, 4]
    assert stock.do("key-9").is_repeat
    stock.undo("never-came")
    assert stock.keys == 5


def test_the_key_of_an_undo_stands_for_what_it_undoes(stock: Stock) -> None:
    stock.do()
    assert stock.undo(f"{KEY}/undo").is_done
    assert stock.done == ["do", "undo"]
    with pytest.raises(BadParams, match="Gossipreg-Undoes"):
        stock.do(f"{KEY}/undo")
    stock.undo("own/scheme/undo")
    assert stock.do("own/scheme").is_done


@pytest.mark.parametrize("ends", [None, ParticipantAnswer(422)])
def test_work_that_commits_by_itself_is_no_done_step(tmp_path: Path, ends: object) -> None:
    """Nobody knows whether it was done to its end: so its key is answered 500, and its undo runs. psycopg allows no
    such commit."""
    database = with_table(sqlite_database(str(tmp_path / "stock.db")))
    undone: list[str] = []
    with closing(database.connect()) as connection:

        def work() -> object:
            connection.execute("INSERT INTO done VALUES ('do')")
            connection.commit()
            return ends

        with pytest.raises(Refused, match="must neither commit nor roll back"):
            Participant(connection).do(KEY, work)
    with closing(database.connect()) as connection:
        again = Participant(connection).do(KEY, lambda: undone.append("never"))
        assert (again.status, json.loads(again.body)["error"]["code"]) == (500, "unfinished")
        assert Participant(connection).undo(KEY, lambda: undone.append("undo")).status == 204
        assert Participant(connection).do(KEY, lambda: undone.append("never")).status == 410
    assert undone == ["undo"]


def test_work_that_rolls_back_by_itself_leaves_nothing(tmp_path: Path) -> None:
    database = with_table(sqlite_database(str(tmp_path / "stock.db")))
    with closing(database.connect()) as connection, pytest.raises(Refused, match="nor roll back"):
        Participant(connection).do(KEY, connection.rollback)
    stock = Stock(database)
    assert (stock.keys, stock.do().status, stock.done) == (0, 204, ["do"])


@pytest.mark.parametrize("key", [None, "", 7, "a" * 513, "a\0b"])
def test_a_key_that_is_none_is_refused(stock: Stock, key: Any) -> None:
    with pytest.raises(BadParams, match="Idempotency-Key") as error:
        stock.do(key)
    assert len(str(error.value)) < 200
    with pytest.raises(BadParams, match="Gossipreg-Undoes"):
        stock.undo(key)


def test_wrong_values_are_refused(database: Database) -> None:
    with closing(database.connect()) as connection:
        for keep in (timedelta(days=30), 90):
            with pytest.raises(BadParams, match="31 days"):
                Participant(connection, keep=keep)  # type: ignore[arg-type]
        participant = Participant(connection)
        with pytest.raises(BadParams, match="no form in JSON"):
            participant.do(KEY, lambda: {1})
        with pytest.raises(TooLarge):
            participant.do(KEY, lambda: b"x" * 300_000)
        with pytest.raises(BadParams, match="is async"):
            participant.do(KEY, _async_work)
        with pytest.raises(BadParams, match="status"):
            ParticipantAnswer(100)
    assert Stock(database).keys == 0


def test_a_refusal_is_what_the_engine_takes_for_one() -> None:
    for status in range(200, 600):
        outcome = step_outcome(status, sent=True, first=True)
        answer = ParticipantAnswer(status)
        assert answer.is_done == (outcome is StepOutcome.DONE)
        assert answer.is_refusal == (outcome is StepOutcome.REFUSED)


async def _async_work() -> None:
    pass


CASES = json.loads((Path(__file__).parent / "participant-cases.json").read_text())["cases"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_cases_of_both_languages_hold(stock: Stock, case: dict[str, Any]) -> None:
    for what, status, expected, runs in case["acts"]:
        ran: list[bool] = []

        def work(status: int | None = status, ran: list[bool] = ran) -> None:
            ran.append(True)
            assert status is not None, "it raises"

        answer = None if status is None else ParticipantAnswer(status)
        with pytest.raises(AssertionError, match="it raises") if expected is None else nullcontext():
            found = getattr(stock, what)(answer=answer, before=work)
            assert found.status == expected
        assert bool(ran) is runs
    assert stock.done == case["holds"]


@given(st.lists(st.tuples(st.sampled_from(["do", "undo"]), st.sampled_from([200, 404, 410, 422, 503])), max_size=8))
def test_any_history_holds_the_rules(history: list[tuple[str, int]]) -> None:
    """Against a model: what is held, whether it was undone, the first answer that counts."""
    with memory_database() as connection:
        participant = Participant(connection)
        held, undone, first = 0, False, None
        for what, status in history:
            ran: list[bool] = []

            def work(status: int = status, ran: list[bool] = ran) -> ParticipantAnswer:
                ran.append(True)
                return ParticipantAnswer(status)

            answer = getattr(participant, what)(KEY, work)
            if what == "do":
                assert answer.status == (410 if undone else first or status)
                assert len(ran) == (not undone and first is None)
                if not undone and first is None and status not in (404, 503):
                    first, held = status, int(status < 300)
            else:
                assert len(ran) == (held and not undone)
                stays = not ran or status in (200, 204, 404, 410)
                assert not ran or answer.status == status
                if stays:
                    held, undone = 0, True


@contextmanager
def memory_database() -> Iterator[Any]:
    import sqlite3

    with closing(sqlite3.connect(":memory:")) as connection:
        Participant(connection).create_table()
        connection.commit()
        yield connection
