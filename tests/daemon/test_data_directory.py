"""What is kept in the data directory, and what happens where it cannot be used."""

import hashlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.data_directory import NOTE_MET, DataDirectory, keep_generation, keep_maintenance
from gossipreg.daemon.database_file import _LAYOUTS, DATABASE
from gossipreg.daemon.identity import draw_generation, draw_identity, identity_of
from gossipreg.daemon.kept import (
    Hold,
    KeptHealth,
    KeptNodeCheck,
    KeptService,
    KeptState,
    Moment,
    Statement,
    drop_healths,
    drop_hold,
    drop_node_check,
    keep_health,
    keep_hold,
    keep_node_check,
)
from gossipreg.errors import CannotKeep, CannotStart, OutcomeUnknown
from gossipreg.model import Health

WALL_MS = 1_795_000_000_000


def open_closed(path: Path) -> tuple[bytes, int]:
    data = DataDirectory(str(path))
    try:
        return data.identity().id, data.next_generation(WALL_MS)
    finally:
        data.close()


def test_an_id_is_the_hash_of_the_public_key() -> None:
    first, second = draw_identity(), draw_identity()
    assert first.id == hashlib.sha256(first.public_key).digest()[:16]
    assert len(first.public_key) == 32
    assert first.id != second.id


def test_an_identity_does_not_show_its_private_key() -> None:
    identity = draw_identity()
    assert identity.private_key.hex() not in repr(identity)
    assert repr(identity.private_key) not in repr(identity)


@given(st.integers(0, (1 << 47) - 1), st.integers(0, (1 << 63) - (1 << 17)))  # the year 6429 comes before 2**47
def test_a_generation_is_above_the_last_whatever_the_clock_says(wall_ms: int, last: int) -> None:
    generation = draw_generation(wall_ms, last)
    assert last < generation < 1 << 63
    assert generation >> 16 == max(wall_ms, generation >> 16)
    if wall_ms > last >> 16:
        assert generation >> 16 == wall_ms


def test_the_identity_is_kept_and_the_generation_rises(tmp_path: Path) -> None:
    starts = [open_closed(tmp_path / "data") for _ in range(4)]
    assert len({id for id, _ in starts}) == 1
    generations = [generation for _, generation in starts]
    assert generations == sorted(set(generations))


def test_a_clock_set_back_does_not_lower_the_generation(tmp_path: Path) -> None:
    data = DataDirectory(str(tmp_path))
    high = data.next_generation(WALL_MS)
    low = data.next_generation(WALL_MS - 86_400_000)
    data.close()
    assert low > high


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    open_closed(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / DATABASE).stat().st_mode) == 0o600


def test_a_second_daemon_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    first = DataDirectory(str(tmp_path))
    with pytest.raises(CannotStart, match=r"locked.*--data-dir"):
        DataDirectory(str(tmp_path))
    first.close()
    open_closed(tmp_path)


def test_a_killed_daemon_leaves_no_lock(tmp_path: Path) -> None:
    script = (
        "import sys, os, signal; from gossipreg.daemon.data_directory import DataDirectory\n"
        "data = DataDirectory(sys.argv[1]); data.identity(); print(data.next_generation(1), flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False, timeout=30)
    assert killed.returncode == -9
    assert open_closed(tmp_path)[1] > int(killed.stdout)


@pytest.mark.parametrize(
    "damage",
    [
        "garbage",
        "truncated",
        "middle",
        "short_key",
        "generation",
        "digits",
        "no_identity",
        "no_table",
        "no_column",
        "format",
    ],
)
def test_a_damaged_database_is_set_aside_and_never_overwritten(tmp_path: Path, damage: str) -> None:
    before, _ = open_closed(tmp_path)
    path = tmp_path / DATABASE
    data = bytearray(path.read_bytes())
    match damage:
        case "garbage":
            path.write_bytes(os.urandom(4096))
        case "truncated":
            path.write_bytes(data[: len(data) // 2])
        case "middle":
            data[4096:8192] = os.urandom(4096)
            path.write_bytes(data)
        case "short_key":
            _execute(path, "UPDATE identity SET private_key = x'0102'")
        case "generation":
            _execute(path, "UPDATE generation SET last = 'soon'")
        case "digits":
            _execute(path, f"UPDATE generation SET last = '{'9' * 5000}'")
        case "no_identity":
            _execute(path, "DELETE FROM identity")
        case "no_table":
            _execute(path, "DROP TABLE peers")
        case "no_column":
            _execute(path, "ALTER TABLE services DROP COLUMN params")
        case "format":
            _execute(path, "PRAGMA user_version = -1")
    damaged = path.read_bytes()
    with pytest.raises(CannotStart) as raised:
        DataDirectory(str(tmp_path))
    assert "\n" not in str(raised.value)
    [aside] = tmp_path.glob(f"{DATABASE}.damaged-*")
    assert aside.name in str(raised.value)
    assert aside.read_bytes() == damaged
    next_start = DataDirectory(str(tmp_path))  # it begins anew, knowing that this lies there
    after = next_start.identity().id
    assert next_start.set_aside() == [aside.name]
    next_start.close()
    assert after != before
    assert aside.read_bytes() == damaged


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_a_database_that_was_emptied_is_no_first_start(tmp_path: Path, how: str) -> None:
    id, _ = open_closed(tmp_path)
    path = tmp_path / DATABASE
    if how == "empty":
        os.truncate(path, 0)
    else:
        path.unlink()
    for _ in range(2):
        with pytest.raises(CannotStart, match=f"is {how}, and it held the identity {id.hex()}: restore a backup"):
            DataDirectory(str(tmp_path))
    (tmp_path / "lock").unlink()
    assert open_closed(tmp_path)[0] != id


def test_a_start_without_identity_does_not_stop_the_next_one(tmp_path: Path) -> None:
    DataDirectory(str(tmp_path)).close()
    (tmp_path / DATABASE).unlink()
    open_closed(tmp_path)


def test_a_directory_of_an_older_release_gets_its_id_file(tmp_path: Path) -> None:
    id, _ = open_closed(tmp_path)
    os.truncate(tmp_path / "lock", 0)
    assert open_closed(tmp_path)[0] == id
    assert (tmp_path / "lock").read_text() == id.hex()


def test_a_database_of_a_newer_version_is_left_as_it_is(tmp_path: Path) -> None:
    open_closed(tmp_path)
    path = tmp_path / DATABASE
    _execute(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(CannotStart, match="newer version"):
        DataDirectory(str(tmp_path))
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.damaged*"))


@pytest.mark.parametrize("version", [0, 1, 2, 99])
def test_the_database_of_another_program_is_left_as_it_is(tmp_path: Path, version: int) -> None:
    path = tmp_path / DATABASE
    _execute(path, "CREATE TABLE recipes (name TEXT)")
    _execute(path, f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(CannotStart, match="another program"):
        DataDirectory(str(tmp_path))
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.damaged*"))


@pytest.mark.parametrize("layout", [1, 2, 3, 4])
def test_a_database_of_each_older_layout_gets_what_was_added(tmp_path: Path, layout: int) -> None:
    path = tmp_path / DATABASE
    database = sqlite3.connect(path)
    database.executescript(" ".join(_LAYOUTS[:layout]))
    database.execute("INSERT INTO identity VALUES (1, ?)", (bytes(range(32)),))
    database.execute("INSERT INTO generation VALUES (1, '70000')")
    if layout > 1:
        database.execute(
            "INSERT INTO services (id, source, trusted, params, health) VALUES ('a', 'socket', 1, x'80', 0)"
        )
        database.execute("INSERT INTO peers VALUES (?, '10.0.0.1', 7940)", (bytes(16),))
    if layout > 2:
        database.execute("INSERT INTO maintenance VALUES ('a', 'why')")
    database.execute(f"PRAGMA user_version = {layout}")
    database.commit()
    database.close()
    for _ in range(2):
        data = DataDirectory(str(tmp_path))
        assert data.identity().id == identity_of(bytes(range(32))).id
        kept = [KeptService("a", "socket", True, b"\x80")] if layout > 1 else []
        assert data.kept() == KeptState(kept, [], None, [], {"a": "why"} if layout > 2 else {})
        assert len(data.peers()) == (layout > 1)
        data.close()


def test_what_checks_said_and_when_is_kept(tmp_path: Path) -> None:
    data = DataDirectory(str(tmp_path))
    data.identity()
    moment, hold = Moment(5, 2.5, "boot"), Hold(Moment(6, 3.5, "boot"), 30.0)
    health = KeptHealth("a", b"key", Health.WARNING, moment)
    check = KeptNodeCheck("disk", True, b"\xa0")
    data.write(
        [keep_health(health), keep_health(health._replace(service="b")), keep_hold(hold), keep_node_check(check)]
    )
    data.close()
    data = DataDirectory(str(tmp_path))
    assert data.healths() == [health, health._replace(service="b")]
    assert (data.hold(), data.node_checks()) == (hold, [check])
    data.write([drop_healths("a"), drop_hold(), drop_node_check("disk")])
    assert data.kept() == KeptState([], [health._replace(service="b")], None, [], {})
    data.close()


def test_a_place_that_is_no_directory_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match="--data-dir"):
        DataDirectory(str(tmp_path / "file"))


def _execute(path: Path, statement: str) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute(statement)
    database.close()


# -- generations before this one ---------------------------------------------------------------------------------------


def started(path: Path, *, meets: bool = True) -> tuple[int, frozenset[int], int]:
    """(the one before, those after it, the one in use) of a start now, which meets another member"""
    data = DataDirectory(str(path))
    try:
        data.identity()
        generation = data.next_generation(WALL_MS)
        if meets:
            data.write([NOTE_MET])
        return data.generation_before, data.own_generations, generation
    finally:
        data.close()


def generations(path: Path) -> tuple[int, int]:
    """(the one before, the one in use) of a start now"""
    before, _, generation = started(path)
    return before, generation


def test_a_start_knows_the_generation_before_it(tmp_path: Path) -> None:
    none, first = generations(tmp_path)
    before, second = generations(tmp_path)
    assert (none, before) == (0, first)
    assert second > first


@pytest.mark.parametrize("raised", [False, True])
def test_a_generation_that_had_no_room_is_known_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raised: bool
) -> None:
    """Else other members would hold one that this directory has forgotten, as after a restored backup."""
    generations(tmp_path)

    def no_room(*_given: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    data = DataDirectory(str(tmp_path))
    if not raised:
        monkeypatch.setattr(DataDirectory, "_write", no_room)
    data.identity()
    unwritten = data.next_generation(WALL_MS + 1000)
    assert bool(data.unwritten) is not raised
    if raised:
        monkeypatch.setattr(DataDirectory, "_write", no_room)
        unwritten += 1 << 20
        data.raised(unwritten)
        with pytest.raises(CannotKeep):
            data.write([keep_generation(unwritten)])
    data.close()
    monkeypatch.undo()
    _, own, now = started(tmp_path)
    assert unwritten in own
    assert now > unwritten
    assert started(tmp_path)[:2] == (now, frozenset()), "what is noted is not above what was written later"


def test_a_start_that_meets_nobody_hides_no_forgotten_generation(tmp_path: Path) -> None:
    """A restored backup was noticed by its first start alone; not if that one was cut off, or ended too soon."""
    _, met = generations(tmp_path)
    alone = [started(tmp_path, meets=False)[2] for _ in range(3)]
    before, own, last = started(tmp_path)
    assert (before, own) == (met, frozenset(alone))
    assert started(tmp_path)[:2] == (last, frozenset())


@pytest.mark.parametrize("layout", [1, 5])
def test_the_last_start_of_an_older_layout_counts_as_one_that_met_a_member(tmp_path: Path, layout: int) -> None:
    database = sqlite3.connect(tmp_path / DATABASE)
    database.executescript(" ".join(_LAYOUTS[:layout]) + f"PRAGMA user_version = {layout};")
    database.execute("INSERT INTO identity VALUES (1, ?)", (bytes(range(32)),))
    database.execute("INSERT INTO generation VALUES (1, '70000')")
    database.commit()
    database.close()
    before, own, alone = started(tmp_path, meets=False)
    assert (before, own) == (70000, frozenset())
    assert started(tmp_path)[:2] == (70000, frozenset((alone,)))


@pytest.mark.parametrize("column", ["met", "unmet"])
def test_a_generation_that_is_no_number_is_damage_wherever_it_stands(tmp_path: Path, column: str) -> None:
    started(tmp_path)
    _execute(tmp_path / DATABASE, f"UPDATE generation SET {column} = 'soon'")
    with pytest.raises(CannotStart, match="generation is not a number"):
        DataDirectory(str(tmp_path))


def test_of_starts_that_meet_nobody_a_bounded_number_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipreg.daemon.data_directory.UNMET_MAX", 3)
    alone = [started(tmp_path, meets=False)[2] for _ in range(5)]
    before, own, _ = started(tmp_path)
    assert (before, own) == (alone[1], frozenset(alone[2:]))


def test_a_lock_file_with_rubbish_notes_no_generation(tmp_path: Path) -> None:
    generations(tmp_path)
    with (tmp_path / "lock").open("ab") as file:
        file.write(b" 12x4")
    _, last = generations(tmp_path)
    assert generations(tmp_path)[0] == last


def test_a_folder_that_cannot_be_flushed_leaves_the_outcome_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite has removed the rollback journal by then, and reports the error of the commit that is in the database."""
    directory = DataDirectory(str(tmp_path))
    write = DataDirectory._write

    def unflushed(directory: DataDirectory, statements: Iterable[Statement]) -> None:
        write(directory, statements)
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_DIR_FSYNC
        raise error

    monkeypatch.setattr(DataDirectory, "_write", unflushed)
    with pytest.raises(OutcomeUnknown, match=r"cannot flush the folder of .*gossipreg\.db: disk I/O error"):
        directory.write([keep_maintenance("web", "oil")])
    assert directory.maintenance() == {"web": "oil"}
    directory.close()
