"""What is known of a check over a restart, and when it does not count."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.checks.parse import parse_check_untrusted
from gossipreg.daemon.checks.spec import CheckSpec
from gossipreg.daemon.checks.state import CheckStatus, Restored
from gossipreg.daemon.kept import Hold, KeptHealth, Moment
from gossipreg.daemon.known_health import KnownHealth, age_s, boot_id, check_keys, moment_now
from gossipreg.daemon.store import Store
from gossipreg.model import Health

THEN = Moment(1_000_000, 500.0, "boot")


def later(seconds: float, *, boot: str = "boot", wall_s: float | None = None) -> Moment:
    by_wall = seconds if wall_s is None else wall_s
    return Moment(THEN.wall_ms + round(by_wall * 1000), THEN.boot_s + seconds, boot)


def spec(text: str) -> CheckSpec:
    return parse_check_untrusted("check", text)


def restored(text: str, now: Moment, *, asked: str | None = None, hold: Hold | None = None) -> Restored | None:
    """What is known at `now` of a check that passed THEN as `asked`."""
    known = KnownHealth(Store(None, lambda _: None), lambda _: (), lambda: now)
    [key] = check_keys("web", [spec(asked or text)])
    known.start([KeptHealth("web", key, Health.PASSING, THEN)], hold)
    [found] = known.restored("web", [spec(text)])
    return found


@pytest.mark.parametrize("check", ["http://h/,interval=10s", "tcp://h:1,interval=10s,fails=3", "cmd:true,interval=10s"])
def test_health_counts_for_one_interval_after_a_restart(check: str) -> None:
    assert restored(check, later(9.5)) == Restored(Health.PASSING, 9.5, 0.5)
    assert restored(check, later(10.1)) is None


def test_a_heartbeat_counts_for_the_rest_of_its_ttl() -> None:
    assert restored("ttl:30s", later(20)) == Restored(Health.PASSING, 20, 10)
    assert restored("ttl:30s", later(30.4)) is None


@pytest.mark.parametrize(
    "now",
    [
        later(1, boot="another"),
        later(1, wall_s=-5),
        later(-1, wall_s=1),
        later(1, wall_s=86_400),
        later(86_400, wall_s=1),
    ],
    ids=["another boot", "wall clock went back", "boot clock went back", "wall clock says long ago", "suspended"],
)
def test_health_of_unknown_age_is_worth_nothing(now: Moment) -> None:
    assert restored("tcp://h:1,interval=10s", now) is None


def test_an_announced_hold_keeps_health_beyond_the_interval() -> None:
    hold = Hold(later(5), 30.0)
    assert restored("tcp://h:1,interval=10s", later(34), hold=hold) == Restored(Health.PASSING, 34, 1)
    assert restored("tcp://h:1,interval=10s", later(36), hold=hold) is None
    assert restored("tcp://h:1,interval=10s", later(34, boot="another"), hold=hold) is None
    assert restored("ttl:10s", later(25), hold=hold) == Restored(Health.PASSING, 25, 10)


def test_health_of_another_check_says_nothing_of_this_one() -> None:
    assert restored("http://h/a", later(1), asked="http://h/b") is None
    assert restored("http://h/a,method=HEAD", later(1), asked="http://h/a") is None
    assert restored("http://h/a,interval=20s,check_notes=n", later(1), asked="http://h/a") is not None


def test_two_ttl_checks_of_a_service_are_told_apart() -> None:
    specs = [spec("ttl:5s,check_id=a"), spec("ttl:5s,check_id=b"), spec("tcp://h:1")]
    assert len(set(check_keys("web", specs))) == 3
    assert check_keys("web", [spec("tcp://h:1")])[0] == check_keys("web", specs)[2]


@given(st.integers(0, 2**40), st.floats(0, 1e6), st.integers(0, 2**40), st.floats(0, 1e6))
def test_an_age_is_the_larger_of_both_clocks_and_not_negative(
    wall: int, boot: float, wall_now: int, boot_now: float
) -> None:
    age = age_s(Moment(wall, boot, "b"), Moment(wall_now, boot_now, "b"))
    if age is None:
        assert wall_now < wall or boot_now < boot
    else:
        assert age >= 0
        assert age >= max((wall_now - wall) / 1000, boot_now - boot) - 1e-6


def test_the_real_clocks_tell_a_young_age() -> None:
    age = age_s(moment_now(), moment_now())
    assert age is not None
    assert 0 <= age < 60
    assert boot_id() == boot_id()


def writes_of(text: str, times: list[float]) -> int:
    """The number of results at these times that make a write due."""
    now = THEN
    status = CheckStatus(spec(text), Health.PASSING, "", 0.0, 0.0)
    known = KnownHealth(Store(None, lambda _: None), lambda _: (status,), lambda: now)
    count = 0
    for at in times:
        now = later(at)
        known.spoke("web", 0)
        if known.take_due():
            known.statements("web")
            count += 1
    return count


def test_heartbeats_are_not_each_written() -> None:
    assert writes_of("ttl:90s", [second * 1.0 for second in range(90)]) == 10
    assert writes_of("ttl:2s", [second * 0.1 for second in range(100)]) == 10
    assert writes_of("tcp://h:1,interval=1s", [second * 1.0 for second in range(60)]) == 12
    assert writes_of("tcp://h:1,interval=10s", [second * 10.0 for second in range(6)]) == 6


def test_a_status_stated_for_a_new_check_alone_is_written() -> None:
    store, ttl, said = Store(None, lambda _: None), spec("ttl:1h"), {"service:web": Health.PASSING}
    new = KnownHealth(store, lambda _: (), lambda: THEN)
    [(sql, values)] = new.stated("web", [ttl], said)
    assert sql.startswith("INSERT OR REPLACE INTO check_health")
    assert (values[0], values[2]) == ("web", int(Health.PASSING))
    assert new.stated("web", [ttl], {"service:other": Health.PASSING}) == []
    known = KnownHealth(store, lambda _: (CheckStatus(ttl, Health.CRITICAL, "", 0.0, 0.0),), lambda: THEN)
    assert known.stated("web", [ttl], said) == []
