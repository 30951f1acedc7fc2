"""The judge of the soak of sagas: it finds what is open, half done, done twice, left over, or told otherwise."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scripts.soaking.saga_notes import SagaNotes, read_history
from scripts.soaking.saga_service import TABLE
from scripts.soaking.sagas_judge import Booking, SagaHistory, ToldSaga, saga_faults

DONE, UNDONE = "5f.a", "5f.b"


def sound() -> SagaHistory:
    """One order that is committed, and one that was undone."""
    return SagaHistory(
        told=[ToldSaga(DONE, "committed", 0.1), ToldSaga(UNDONE, "aborted", 0.1)],
        bookings=[
            Booking("stock", f"{DONE}/reserve", 1, 0), Booking("payment", f"{DONE}/pay", 1, 0),
            Booking("mail", f"{DONE}/mail", 1, 0), Booking("stock", f"{UNDONE}/reserve", 1, 1),
        ],
        decisions={DONE: "commit", UNDONE: "abort"},
    )  # fmt: skip


def test_books_that_balance_have_no_faults() -> None:
    assert saga_faults(sound()) == []


def test_an_open_saga_is_found() -> None:
    history = sound()
    history.open = ["5f.c"]
    assert saga_faults(history) == ["saga 5f.c has not ended"]


@pytest.mark.parametrize(
    ("booking", "fault"),
    [
        (Booking("stock", f"{UNDONE}/again", 1, 0), f"stock holds {UNDONE}/again; the journal has abort"),
        (Booking("stock", "5f.z/reserve", 1, 0), "stock holds 5f.z/reserve; the journal has no such saga"),
        (Booking("stock", f"{DONE}/again", 2, 1), f"stock did {DONE}/again 2 times and undid it 1 times"),
        (Booking("stock", f"{DONE}/again", 0, 1), f"stock did {DONE}/again 0 times and undid it 1 times"),
        (Booking("stock", f"{DONE}/again", 1, 1), f"stock undid {DONE}/again, which is committed"),
        (Booking("mail", f"{UNDONE}/mail", 1, 1), f"mail did {UNDONE}/mail for a saga that is not committed"),
    ],
)
def test_a_booking_that_should_not_be_is_found(booking: Booking, fault: str) -> None:
    history = sound()
    history.bookings.append(booking)
    assert saga_faults(history) == [fault]


def test_a_committed_saga_that_lacks_a_booking_is_found() -> None:
    history = sound()
    history.bookings = [one for one in history.bookings if one.service != "mail"]
    assert saga_faults(history) == [f"saga {DONE} is committed, and mail has nothing of it"]


def test_a_program_that_was_told_otherwise_is_found() -> None:
    history = sound()
    history.told = [ToldSaga(UNDONE, "committed", 0.1), ToldSaga(DONE, "aborted", 0.1), ToldSaga(DONE, "unknown", 9.0)]
    assert saga_faults(history) == [
        f"the program of {UNDONE} was told that it is committed; the journal has abort",
        f"the program of {DONE} was told that it is aborted; the journal has it committed",
    ]


def test_many_faults_of_a_kind_are_counted() -> None:
    history = sound()
    history.open = [f"5f.{number}" for number in range(13)]
    assert saga_faults(history)[-1] == "... and 3 more of this kind"


def test_notes_and_books_are_read_as_they_were_written(tmp_path: Path) -> None:
    notes = SagaNotes(tmp_path / "one.sagas")
    notes.write(ToldSaga(DONE, "committed", 0.25))
    notes.write_refused("busy")
    with (tmp_path / "one.sagas").open("a") as file:
        file.write('["told", "torn')
    with closing(sqlite3.connect(tmp_path / "stock.db")) as connection:
        connection.execute(TABLE)
        rows = [(f"{DONE}/reserve", 1), (f"{UNDONE}/reserve", 1), (f"{UNDONE}/reserve", -1)]
        connection.executemany("INSERT INTO ledger (key, amount) VALUES (?, ?)", rows)
        connection.commit()
    history = read_history(tmp_path, [tmp_path / "stock.db"])
    assert history.told == [ToldSaga(DONE, "committed", 0.25)]
    assert history.refused == {"busy": 1}
    assert history.bookings == [Booking("stock", f"{DONE}/reserve", 1, 0), Booking("stock", f"{UNDONE}/reserve", 1, 1)]
