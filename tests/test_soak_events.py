"""The judge of the soak of events: it finds what was lost, foreign, changed, out of order, or repeated too often."""

from dataclasses import replace
from pathlib import Path

import pytest

from scripts.soaking.event_notes import EventNotes, read_history
from scripts.soaking.events_judge import (
    GROUPS,
    WANTED_BY,
    AckedEvent,
    AskedEvent,
    EventHistory,
    HandledEvent,
    history_faults,
    repeats_of,
)

J = "5f" * 16


def asked(id: str, type: str = "order.paid") -> AskedEvent:
    return AskedEvent("p0", id, type, 7)


def acked(id: str, index: int, type: str = "order.paid") -> AckedEvent:
    return AckedEvent("p0", id, J, index, len(WANTED_BY[type]), 0.1)


def handled(id: str, index: int, group: str, at: float, key: str = "k", type: str = "order.paid") -> HandledEvent:
    return HandledEvent(at, group, J, index, 1, key, "p0", id, type, 7)


def sound() -> EventHistory:
    """Two events with one key, which both groups handled in order."""
    return EventHistory(
        [asked("a"), asked("b")],
        [acked("a", 5), acked("b", 6)],
        [handled(id, index, group, index) for id, index in (("a", 5), ("b", 6)) for group in ("stock", "audit")],
    )


def test_a_sound_history_of_events_has_no_faults() -> None:
    assert history_faults(sound()) == []


def test_an_acknowledged_event_that_a_group_lacks_is_lost() -> None:
    history = sound()
    history.handled.remove(handled("b", 6, "stock", 6))
    assert history_faults(history) == ["stock never handled p0/b, journal 5f5f5f5f index 6, which was acknowledged"]


def test_an_event_without_an_acknowledgement_may_be_missing() -> None:
    history = sound()
    history.asked.append(asked("c"))
    assert history_faults(history) == []


def test_a_group_that_did_not_subscribe_is_found() -> None:
    history = sound()
    history.handled.append(handled("a", 5, "mail", 7))
    assert history_faults(history) == ["mail handled p0/a, whose type order.paid it did not subscribe to"]


def test_an_event_that_nobody_published_is_found() -> None:
    history = sound()
    history.handled.append(handled("z", 9, "stock", 9))
    assert history_faults(history) == ["stock handled p0/z, journal 5f5f5f5f index 9, which nobody published"]


@pytest.mark.parametrize("change", [{"checksum": 8}, {"type": "order.created"}])
def test_an_event_that_changed_on_its_way_is_found(change: dict[str, object]) -> None:
    history = sound()
    history.handled[0] = replace(history.handled[0], **change)  # type: ignore[arg-type]
    assert history_faults(history) == [
        "stock handled p0/a, journal 5f5f5f5f index 5, other than it was published"
    ]  # fmt: skip


def test_a_first_handling_out_of_order_is_found() -> None:
    history = sound()
    history.handled[0] = handled("a", 5, "stock", at=6.5)
    assert history_faults(history) == [
        "stock handled p0/a with key k, journal 5f5f5f5f index 5, for the first time 0.500 s after p0/b, index 6"
    ]


def test_a_repeat_is_not_out_of_order() -> None:
    history = sound()
    history.handled.append(handled("a", 5, "stock", at=7))
    history.faults = 1
    assert history_faults(history) == []


@pytest.mark.parametrize("keys", [("", ""), ("k", "l")])
def test_events_of_different_keys_or_none_have_no_order(keys: tuple[str, str]) -> None:
    history = sound()
    for at, key in ((0, keys[0]), (2, keys[1])):
        one = history.handled[at]
        history.handled[at] = replace(one, key=key, at=10 - one.index)
    assert history_faults(history) == []


def test_a_dead_letter_may_come_late() -> None:
    history = sound()
    history.handled[0] = handled("a", 5, "stock", at=60.0)
    history.set_aside = frozenset({("stock", J, 5)})
    assert history_faults(history) == []


def test_an_acknowledgement_for_too_few_groups_is_found() -> None:
    history = sound()
    history.acked[0] = replace(history.acked[0], groups=1)
    assert history_faults(history) == ["p0/a, journal 5f5f5f5f index 5, was acknowledged for 1 groups, not 2"]


def test_two_events_at_one_place_of_a_journal_are_found() -> None:
    history = sound()
    history.acked[1] = replace(history.acked[1], index=5)
    assert "journal 5f5f5f5f index 5 is p0/b and p0/a" in history_faults(history)


def test_too_many_repeats_are_found() -> None:
    history = sound()
    history.handled += [handled("a", 5, "stock", at=10 + number) for number in range(41)]
    history.faults = 1
    assert repeats_of(history.handled) == (41, 41 / 45)
    assert history_faults(history) == ["41 of 45 handlings were repeats: 91.11%, not less than 1%"]
    history.faults = 2
    assert history_faults(history) == []


def test_many_faults_of_a_kind_are_told_in_few_lines() -> None:
    history = sound()
    history.asked += [asked(str(number)) for number in range(100)]
    history.acked += [acked(str(number), 100 + number) for number in range(100)]
    told = history_faults(history)
    assert len(told) == 11
    assert told[-1] == "... and 190 more like the last"


def test_the_table_of_who_wants_what_names_all_groups() -> None:
    assert {group for groups in WANTED_BY.values() for group in groups} == {*GROUPS}


def test_notes_are_read_as_they_were_written_but_a_torn_line(tmp_path: Path) -> None:
    history = sound()
    publisher, handler = EventNotes(tmp_path / "one.notes"), EventNotes(tmp_path / "two.notes")
    publisher.write(*history.asked)
    publisher.write(*history.acked, durable=True)
    publisher.write_refused("busy")
    handler.write(*history.handled)
    with (tmp_path / "two.notes").open("ab") as file:
        file.write(b'["handled", 1.5, "sto')
    read = read_history(tmp_path)
    history.refused["busy"] = 1
    assert read == history
