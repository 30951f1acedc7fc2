"""The groups that a row names: declared ones, and those of the journals that are led here."""

from hypothesis import given
from hypothesis import strategies as st

from gossipreg.errors import BadParams
from gossipreg.events.announced import (
    GROUP_KIND,
    MAX_ANNOUNCED_GROUPS,
    MAX_DECLARED_GROUPS,
    declared_groups,
    decode_group_untrusted,
)
from gossipreg.events.effects import AnnounceSubscription
from gossipreg.events.entries import MAX_GROUP_BYTES, MAX_GROUP_PATTERNS
from gossipreg.events.group_announcements import GroupAnnouncements
from gossipreg.events.membership import KnownGroup
from gossipreg.journal.model import JournalId

ONE, TWO = JournalId(b"1" * 16), JournalId(b"2" * 16)


class Row:
    """What a row says after these effects."""

    def __init__(self, declared: tuple[KnownGroup, ...] = ()) -> None:
        self.slots: dict[int, KnownGroup] = dict(enumerate(declared))
        self.groups = GroupAnnouncements(declared)
        self.writes = 0

    def take(self, effects: list[AnnounceSubscription]) -> None:
        for effect in effects:
            assert effect.kind == GROUP_KIND
            self.writes += 1
            if effect.value is None:
                del self.slots[effect.slot]
            else:
                self.slots[effect.slot] = decode_group_untrusted(effect.value)

    def patterns(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for group in self.slots.values():
            found.setdefault(group.name, set()).update(group.patterns)
        return found


def test_a_group_stays_as_long_as_any_led_journal_has_it() -> None:
    row = Row()
    row.take(row.groups.put(ONE, "mail", ["order.*"]))
    row.take(row.groups.put(TWO, "mail", ["order.*"]))
    assert (row.patterns(), row.writes) == ({"mail": {"order.*"}}, 1)
    row.take(row.groups.remove(ONE, "mail"))
    assert (row.patterns(), row.writes) == ({"mail": {"order.*"}}, 1)
    row.take(row.groups.end(TWO))
    assert row.slots == {}


def test_what_does_not_change_a_group_does_not_change_the_row() -> None:
    row = Row()
    row.take(row.groups.begin(ONE, {"mail": ["order.*"], "stock": [">"]}))
    row.take(row.groups.begin(ONE, {"mail": ["order.*"], "stock": [">"]}))
    row.take(row.groups.remove(ONE, "unknown"))
    row.take(row.groups.end(TWO))
    assert row.writes == 2


def test_a_new_pattern_of_a_group_is_told_in_its_slot() -> None:
    row = Row()
    row.take(row.groups.put(ONE, "mail", ["order.*"]))
    row.take(row.groups.put(ONE, "mail", ["order.*", "user.*"]))
    assert row.slots == {0: KnownGroup("mail", ("order.*", "user.*"))}


def test_declared_groups_keep_their_slots_and_are_not_said_twice() -> None:
    declared = declared_groups(["mail=order.*", "mail=user.*", "stock=>"])
    row = Row(declared)
    row.take(row.groups.put(ONE, "mail", ["order.*"]))
    row.take(row.groups.put(ONE, "other", ["order.*"]))
    assert row.slots == {0: declared[0], 1: declared[1], 2: KnownGroup("other", ("order.*",))}
    row.take(row.groups.put(ONE, "mail", ["order.*", "bill.*"]))
    row.take(row.groups.end(ONE))
    assert row.slots == dict(enumerate(declared))


def test_beyond_the_bound_a_group_waits_for_a_slot() -> None:
    row = Row(declared_groups(["first=>"]))
    for number in range(MAX_ANNOUNCED_GROUPS + 2):
        row.take(row.groups.put(ONE, f"g{number}", ["a"]))
    assert len(row.slots) == MAX_ANNOUNCED_GROUPS
    assert list(row.groups.left_out) == ["g1023", "g1024", "g1025"]
    row.take(row.groups.remove(ONE, "g5"))
    assert len(row.slots) == MAX_ANNOUNCED_GROUPS
    assert list(row.groups.left_out) == ["g1024", "g1025"]
    row.take(row.groups.end(ONE))
    assert row.patterns() == {"first": {">"}}
    assert not row.groups.left_out


names = st.sampled_from(("a", "b", "c"))
patterns = st.lists(st.sampled_from(("x", "y.*", ">")), min_size=1, max_size=3, unique=True)
step = st.tuples(st.sampled_from((ONE, TWO)), names, st.one_of(st.none(), patterns))


@given(st.lists(st.tuples(names, st.sampled_from(("x", ">"))), max_size=3), st.lists(step, max_size=20))
def test_a_row_names_what_is_declared_and_what_led_journals_have(
    declared: list[tuple[str, str]], steps: list[tuple[JournalId, str, list[str] | None]]
) -> None:
    row = Row(declared_groups([f"{name}={pattern}" for name, pattern in declared]))
    held: dict[tuple[JournalId, str], list[str]] = {}
    for journal, name, of_group in steps:
        if of_group is None:
            held.pop((journal, name), None)
            row.take(row.groups.remove(journal, name))
        else:
            held[journal, name] = of_group
            row.take(row.groups.put(journal, name, of_group))
        wanted: dict[str, set[str]] = {}
        for known, pattern in declared:
            wanted.setdefault(known, set()).add(pattern)
        for (_, known), said in held.items():
            wanted.setdefault(known, set()).update(said)
        assert row.patterns() == wanted
        assert all(slot < len(row.slots) + len(steps) for slot in row.slots)


def refusal(*texts: str) -> str:
    try:
        declared_groups(texts)
    except BadParams as error:
        return str(error)
    return ""


def test_declared_groups_that_are_none_are_refused_with_the_value() -> None:
    assert refusal("mail") == "group 'mail' has no pattern: write NAME=PATTERN, as mail=order.*"
    assert refusal("=order.*").startswith("group '' has 0 bytes")
    assert "has a space" in refusal("our mail=order.*")
    assert "empty token" in refusal("mail=order..*")
    assert "before its end" in refusal("mail=>.created")
    assert "has 256 bytes" in refusal("m" * (MAX_GROUP_BYTES + 1) + "=>")
    assert "patterns: give at most" in refusal(*(f"mail=a.{number}" for number in range(MAX_GROUP_PATTERNS + 1)))
    assert "groups are declared" in refusal(*(f"g{number}=>" for number in range(MAX_DECLARED_GROUPS + 1)))
    assert refusal("mail=a=b", "mail=a=b", "\N{ENVELOPE}=>") == ""
