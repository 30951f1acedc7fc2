"""Moments in the past, as people write them."""

from datetime import datetime, timedelta, timezone

import pytest

from gossipreg.cli.moments import parse_moment

BERLIN = timezone(timedelta(hours=1))
NOW = datetime(2026, 11, 30, 8, 15, 30, 500_000, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8h", NOW - timedelta(hours=8)),
        ("14d", NOW - timedelta(days=14)),
        ("90", NOW - timedelta(seconds=90)),
        ("02:00", datetime(2026, 11, 30, 2, tzinfo=BERLIN)),
        ("8:15:30", datetime(2026, 11, 30, 8, 15, 30, tzinfo=BERLIN)),
        ("23:59", datetime(2026, 11, 29, 23, 59, tzinfo=BERLIN)),
        ("2026-11-29T02:00+01:00", datetime(2026, 11, 29, 2, tzinfo=BERLIN)),
        ("2026-11-29T01:00:00Z", datetime(2026, 11, 29, 2, tzinfo=BERLIN)),
    ],
)
def test_a_moment_is_read_as_people_mean_it(text: str, found: datetime) -> None:
    assert parse_moment(text, NOW) == found.timestamp()


def test_a_date_without_a_zone_is_local() -> None:
    assert parse_moment("2026-11-29", NOW) == datetime(2026, 11, 29).astimezone().timestamp()
    assert parse_moment("2026-11-29 02:00", NOW) == datetime(2026, 11, 29, 2).astimezone().timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "02:60", "2026-13-01", "-8h", "8 h", "1e3"])
def test_other_texts_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|longer") as raised:
        parse_moment(text, NOW)
    assert "\n" not in str(raised.value)
