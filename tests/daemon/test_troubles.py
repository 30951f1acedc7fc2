"""What goes wrong is there for who asks later, as long as it goes on."""

from collections import Counter

import pytest

from gossipreg.core.effects import Event
from gossipreg.daemon import troubles
from gossipreg.daemon.log_events import in_words
from gossipreg.daemon.troubles import Troubles


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_trouble_lasts_while_seen_and_then_is_over() -> None:
    clock = Clock()
    held = Troubles(clock)
    for _ in range(3):
        held.saw("a", "no answer")
        clock.now += troubles.RECENT_S / 2
    assert held.shapes() == [{"message": "no answer", "since_s": 1.5 * troubles.RECENT_S}]
    clock.now += troubles.RECENT_S
    assert held.shapes() == []
    held.saw("a", "no answer")
    assert held.shapes() == [{"message": "no answer", "since_s": 0}], "it began anew"


def test_a_trouble_lasts_no_longer_than_was_said() -> None:
    clock = Clock()
    held = Troubles(clock)
    for _ in range(3):
        held.saw("rate", "too many questions", for_s=5.0)
        clock.now += 4
    assert held.shapes() == [{"message": "too many questions", "since_s": 12.0}]
    clock.now += 2
    assert held.shapes() == []


def test_what_has_an_end_lasts_until_then() -> None:
    clock = Clock()
    held = Troubles(clock)
    held.saw("disk", "full", lasting=True)
    clock.now += 100 * troubles.RECENT_S
    assert [one["message"] for one in held.shapes()] == ["full"]
    held.over("disk")
    assert held.shapes() == []


@pytest.mark.parametrize("kind", ["wrong_cluster", "incompatible_version", "not_our_key", "key_needed", "seed_silent"])
def test_reason_for_not_synced_is_shown_until_synced(kind: str) -> None:
    held = Troubles(Clock())
    held.on_event(Event(kind, (("address", "10.0.0.1:7940"),)), "the reason")
    held.on_event(Event("member_alive"), "")
    assert [one["message"] for one in held.shapes()] == ["the reason"]
    held.on_event(Event("synced"), "")
    assert held.shapes() == []


@pytest.mark.parametrize("kind", ["wrong_cluster", "incompatible_version", "not_our_key", "key_needed", "seed_silent"])
def test_a_trouble_with_an_address_is_over_once_it_answers(kind: str) -> None:
    held = Troubles(Clock())
    held.on_event(Event(kind, (("address", "10.0.0.1:7940"),)), "the reason")
    held.on_event(Event("understood", (("address", "10.0.0.2:7940"),)), "")
    assert [one["message"] for one in held.shapes()] == ["the reason"]
    held.on_event(Event("understood", (("address", "10.0.0.1:7940"),)), "")
    assert held.shapes() == []


@pytest.mark.parametrize("kind", ["wrong_cluster", "incompatible_version", "not_our_key", "key_needed"])
def test_a_seed_that_complains_is_not_called_silent(kind: str) -> None:
    held = Troubles(Clock())
    held.on_event(Event("seed_silent", (("address", "10.0.0.1:7940"),)), "no answer")
    held.on_event(Event(kind, (("address", "10.0.0.1:7940"),)), "the reason")
    assert [one["message"] for one in held.shapes()] == ["the reason"]


def test_that_others_hold_us_for_dead_is_shown_until_we_return() -> None:
    clock = Clock()
    held = Troubles(clock)
    out = Event("out", (("wait_s", 120.0),))
    held.on_event(out, in_words(out, cluster="c"))
    clock.now += 100
    [trouble] = held.shapes()
    assert trouble["message"].endswith("rejoining in 120 s")
    held.on_event(Event("returned"), "")
    assert held.shapes() == []


def test_a_full_table_is_shown_until_it_has_room() -> None:
    clock = Clock()
    held = Troubles(clock)
    full = Event("table_full", (("id", "00"),))
    held.on_event(full, in_words(full, cluster="c"))
    clock.now += 100 * troubles.RECENT_S
    assert ["the table is full" in one["message"] for one in held.shapes()] == [True]
    held.on_event(Event("table_full_over"), "")
    assert held.shapes() == []


def test_an_identity_conflict_is_shown_from_round_to_round() -> None:
    clock = Clock()
    held = Troubles(clock, conflict_round_s=180.0)
    conflict = Event("duplicate_identity", (("id", "00"), ("address", "10.0.0.1:7940")))
    for _ in range(3):
        held.on_event(conflict, in_words(conflict, cluster="c"))
        clock.now += 170
        assert len(held.shapes()) == 1
    clock.now += 20
    assert held.shapes() == []


def test_what_cannot_be_sent_is_said_once_for_what_is_new() -> None:
    held = Troubles(Clock())
    dropped = Counter({"send_buffer_full": 9, "send_too_large": 7, "send_EINVAL": 1, "send_ENETUNREACH": 4})
    assert held.look_at_unsent(dropped) == "5 datagrams could not be sent: network is unreachable"
    assert [one["message"] for one in held.shapes()] == ["5 datagrams could not be sent: network is unreachable"]
    assert held.look_at_unsent(dropped) == ""
    assert held.shapes() == [], "everything since was sent"


def test_the_memory_of_troubles_is_bounded() -> None:
    clock = Clock()
    held = Troubles(clock)
    for number in range(3 * troubles.KINDS_MAX):
        clock.now += 0.001
        held.saw(str(number), str(number), lasting=True)
    assert len(held.shapes()) == troubles.KINDS_MAX
    assert held.shapes()[0]["message"] == str(3 * troubles.KINDS_MAX - 1)


def narrow(name: str, address: str, passes: int = 1250, lost: int = 1275) -> Event:
    return Event("path_mtu", (("name", name), ("address", address), ("bytes", passes), ("lost_bytes", lost)))


def shown(held: Troubles) -> list[str]:
    return [one["message"] for one in held.shapes()]


def test_a_narrow_path_names_its_peer_and_size_until_it_is_over() -> None:
    clock = Clock()
    held = Troubles(clock)
    told = narrow("web-3", "10.0.0.7:7940")
    held.on_event(told, in_words(told, cluster="c"))
    clock.now += 100 * troubles.RECENT_S
    assert shown(held) == [
        "datagrams of 1,275 bytes or more to web-3 (10.0.0.7:7940) do not arrive: sending at most 1,250; "
        "check the MTU of the path"
    ]
    held.on_event(Event("path_mtu_over", (("name", "web-3"), ("address", "10.0.0.7:7940"))), "")
    assert shown(held) == []


def test_many_narrow_paths_are_one_trouble() -> None:
    held = Troubles(Clock())
    held.saw("disk", "full", lasting=True)
    for number in range(100):
        held.on_event(narrow(f"web-{number}", f"10.0.0.{number}:7940", 1250 - number), "")
    assert sorted(shown(held)) == [
        "datagrams of 1,275 bytes or more to web-97 (10.0.0.97:7940), web-98 (10.0.0.98:7940), "
        "web-99 (10.0.0.99:7940) and 97 more do not arrive: sending at most 1,151; check the MTU of the path",
        "full",
    ]
    for number in range(1, 100):
        held.on_event(Event("path_mtu_over", (("name", "x"), ("address", f"10.0.0.{number}:7940"))), "")
    assert "to web-0 (10.0.0.0:7940) do not" in shown(held)[-1] + shown(held)[0]


def test_rows_that_do_not_arrive_name_the_member_that_has_them() -> None:
    held = Troubles(Clock())
    told = Event("pull_failed", (("row", "db-1"), ("name", "web-3"), ("address", "10.0.0.7:7940")))
    held.on_event(told, in_words(told, cluster="c"))
    assert shown(held) == [
        "web-3 (10.0.0.7:7940) answers, but rows requested from it do not arrive: check the MTU of the path from there"
    ]
    over = Event("pull_failed_over", (("name", "web-3"), ("address", "10.0.0.7:7940")))
    held.on_event(over, in_words(over, cluster="c"))
    assert shown(held) == []


def test_a_member_of_another_version_is_shown_until_that_is_over() -> None:
    clock = Clock()
    held = Troubles(clock)
    fields = (("id", "ab" * 16), ("name", "web-3"), ("address", "10.0.0.7:7940"))
    held.on_event(Event("incompatible_version", fields), "the reason")
    held.on_event(Event("synced"), "")
    clock.now += 100 * troubles.RECENT_S
    assert shown(held) == ["the reason"]
    held.on_event(Event("incompatible_version_over", fields[:1]), "")
    assert shown(held) == []


def lossy(sign: str, way: str, through: str = "") -> Event:
    fields = {"id": "ab" * 16, "name": "web-3", "address": "10.0.0.7:7940", "sign": sign, "way": way}
    return Event("pair_lossy", (*fields.items(), ("through", through), ("since_s", 9.0)))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            lossy("unanswered", "to", "api-1, db-2"),
            "web-3 (10.0.0.7:7940) does not answer pings from here, and is alive: api-1, db-2 could reach it; what "
            "this sidecar sends does not arrive there, while what it sends arrives here; check the path and the "
            "firewalls from here to there",
        ),
        (
            lossy("unheard", "from"),
            "pings of web-3 (10.0.0.7:7940), which is alive, do not arrive here; what it sends does not arrive here; "
            "check the path and the firewalls from there to here",
        ),
        (lossy("accused", "to"), "web-3 (10.0.0.7:7940) pings this sidecar and does not get the answers; what this"),
        (lossy("unanswered", "unknown", "api-1"), "nothing of it was heard since"),
    ],
)
def test_loss_between_one_pair_is_shown_until_it_is_over(event: Event, words: str) -> None:
    held = Troubles(Clock())
    held.on_event(event, in_words(event, cluster="default"))
    [shown] = held.shapes()
    assert words in shown["message"]
    assert shown["since_s"] == 9.0, "the first sign was before it was certain"
    held.on_event(lossy("unanswered", "to"), "another way")
    assert [(one["message"], one["since_s"]) for one in held.shapes()] == [("another way", 9.0)]
    held.on_event(Event("pair_lossy_over", event.fields), "")
    assert held.shapes() == []
