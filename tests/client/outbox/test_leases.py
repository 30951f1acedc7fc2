"""The right to send in SQLite: one relay has it, and it ends with its time, its process or the boot."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gossipreg.client.outbox.leases import LEASE_S, LEFT_S, HolderId, RelayLease
from gossipreg.client.outbox.sending import PUBLISH_S
from gossipreg.client.outbox.tables import SQLITE, TableName, create_tables, outbox_tables

TABLE = TableName("", "gossipreg_outbox")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "l.db", isolation_level=None)
    create_tables(connection, SQLITE, outbox_tables(TABLE, SQLITE))
    yield connection
    connection.close()


def set_holder(connection: sqlite3.Connection, holder: HolderId | str, until: float) -> None:
    text = holder if isinstance(holder, str) else " ".join(holder)
    connection.execute("DELETE FROM gossipreg_outbox_relay")
    connection.execute("INSERT INTO gossipreg_outbox_relay VALUES (1, ?, ?)", (text, until))


def test_an_attempt_ends_before_another_relay_may_begin() -> None:
    assert PUBLISH_S < LEFT_S < LEASE_S


def test_one_of_two_holds_until_its_lease_is_over(connection: sqlite3.Connection) -> None:
    clock = Clock()
    one, other = RelayLease(connection, TABLE, clock), RelayLease(connection, TABLE, clock)
    assert (one.hold(), other.hold()) == (True, False)
    clock.now += LEASE_S - 0.1
    assert not other.hold()
    clock.now += 0.2
    assert (other.hold(), one.hold()) == (True, False)


def test_a_lease_is_renewed_before_it_ends(connection: sqlite3.Connection) -> None:
    clock = Clock()
    one, other = RelayLease(connection, TABLE, clock), RelayLease(connection, TABLE, clock)
    for _ in range(10):
        assert one.hold()
        clock.now += PUBLISH_S
        assert not other.hold()


def test_a_relay_that_slept_over_its_lease_has_lost_it(connection: sqlite3.Connection) -> None:
    clock = Clock()
    one, other = RelayLease(connection, TABLE, clock), RelayLease(connection, TABLE, clock)
    assert one.hold()
    clock.now += LEASE_S
    assert other.hold()
    assert not one.hold()
    one.release()
    assert not one.hold(), "who has no lease releases none"


def test_a_released_lease_is_free_at_once(connection: sqlite3.Connection) -> None:
    clock = Clock()
    one, other = RelayLease(connection, TABLE, clock), RelayLease(connection, TABLE, clock)
    assert one.hold()
    one.release()
    assert other.hold()


def test_an_idle_relay_writes_nothing(connection: sqlite3.Connection) -> None:
    lease = RelayLease(connection, TABLE, Clock())
    assert lease.hold()
    before = connection.total_changes
    assert all(lease.hold() for _ in range(5))
    assert connection.total_changes == before


def test_the_lease_of_a_process_that_is_gone_is_void(connection: sqlite3.Connection) -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        holder = HolderId.draw()._replace(pid=str(process.pid), start=fields[19])
        set_holder(connection, holder, 1010.0)
        lease = RelayLease(connection, TABLE, Clock())
        assert not lease.hold()
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
        assert lease.hold()
        lease.release()
        process.wait()
        set_holder(connection, holder, 1010.0)
        assert lease.hold()


@pytest.mark.parametrize(
    ("changed", "is_void"),
    [
        ({"boot": "another"}, True),
        ({"start": "1"}, True),  # the process id is another process's now
        ({"namespace": "pid:[1]", "start": "1"}, False),  # of another container: nobody knows
        ({}, False),
    ],
)
def test_a_lease_is_void_only_if_its_holder_is_certainly_gone(
    connection: sqlite3.Connection, changed: dict[str, str], is_void: bool
) -> None:
    set_holder(connection, HolderId.draw()._replace(**changed), 1010.0)
    assert RelayLease(connection, TABLE, Clock()).hold() is is_void


@pytest.mark.parametrize(("holder", "until"), [("nonsense", 1010.0), (HolderId.draw(), 1000.0 + 2 * LEASE_S)])
def test_a_lease_that_no_relay_writes_is_void(
    connection: sqlite3.Connection, holder: HolderId | str, until: float
) -> None:
    set_holder(connection, holder, until)
    assert RelayLease(connection, TABLE, Clock()).hold()


def test_a_lease_taken_while_another_relay_waits_to_read_counts(tmp_path: Path, connection: sqlite3.Connection) -> None:
    clock = Clock()
    first = RelayLease(connection, TABLE, clock)

    class Waits(sqlite3.Connection):
        def cursor(self) -> sqlite3.Cursor:  # type: ignore[override]
            clock.now += 1.0
            assert first.hold()
            return super().cursor()

    waits = sqlite3.connect(tmp_path / "l.db", isolation_level=None, factory=Waits)
    assert not RelayLease(waits, TABLE, clock).hold()
    waits.close()


@pytest.mark.usefixtures("connection")
def test_a_lease_whose_writing_waited_too_long_is_not_used(tmp_path: Path) -> None:
    clock = Clock()

    class Waits(sqlite3.Connection):
        def cursor(self) -> sqlite3.Cursor:  # type: ignore[override]
            clock.now += LEASE_S / 2 + 1.0
            return super().cursor()

    waits = sqlite3.connect(tmp_path / "l.db", isolation_level=None, factory=Waits)
    assert not RelayLease(waits, TABLE, clock).hold()
    waits.close()


def test_of_two_that_see_the_same_free_lease_one_gets_it(tmp_path: Path, connection: sqlite3.Connection) -> None:
    """Both have read it before either writes."""
    first = RelayLease(connection, TABLE, Clock())

    class Between(sqlite3.Connection):
        def cursor(self) -> sqlite3.Cursor:  # type: ignore[override]
            found: sqlite3.Cursor = super().cursor()
            self.cursors = getattr(self, "cursors", 0) + 1
            if self.cursors == 2:  # the second one writes
                assert first.hold()
            return found

    between = sqlite3.connect(tmp_path / "l.db", isolation_level=None, factory=Between)
    assert not RelayLease(between, TABLE, Clock()).hold()
    between.close()
