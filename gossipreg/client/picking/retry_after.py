"""The header Retry-After (RFC 9110, section 10.2.3): how long a server asks its clients to stay away.

It has seconds or a date. A date is on the server's clock, so it is compared with the header Date of the same response:
then the clocks of the two hosts need not agree. The clock of this host is used where there is no Date.
"""

import re

LONGEST_S = 9_999_999.0
"""More is taken as this, which is beyond any deadline: a call then ends at once."""
DATE_MAX_LETTERS = 64
DAY_S = 86_400
YEARS_AHEAD_S = 50 * 365.25 * DAY_S
"""A year of two digits means the past one if the date would be further in the future (RFC 9110, section 5.6.7)."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
SHORT = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
LONG = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"{SHORT}, (?P<day>\d\d) (?P<month>[A-Z][a-z][a-z]) (?P<year>\d{{4}}) {TIME} GMT",  # IMF-fixdate
        rf"{LONG}, (?P<day>\d\d)-(?P<month>[A-Z][a-z][a-z])-(?P<year>\d\d) {TIME} GMT",  # of RFC 850
        rf"{SHORT} (?P<month>[A-Z][a-z][a-z]) (?P<day>[ \d]\d) {TIME} (?P<year>\d{{4}})",  # of asctime
    )
)


def retry_after_untrusted(text: str | None, date: str | None, wall_s: float | None) -> float | None:
    """The seconds that a response asks to wait, from 0 to LONGEST_S. None: it asks for nothing, or for nonsense.

    `text`: its header Retry-After. `date`: its header Date. `wall_s`: the time of this host since 1970, for a response
    without Date; None: then a date in `text` says nothing.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")
        return LONGEST_S if len(digits) > 7 else float(digits or 0)
    asked_s = http_date_untrusted(text, wall_s)
    sent_s = http_date_untrusted(date, wall_s)
    from_s = wall_s if sent_s is None else sent_s
    return None if asked_s is None or from_s is None else min(max(0.0, asked_s - from_s), LONGEST_S)


def http_date_untrusted(text: str | None, wall_s: float | None) -> float | None:
    """The seconds since 1970 of a date in one of the three forms of RFC 9110, section 5.6.7; None: it is none."""
    text = (text or "").strip()
    if len(text) > DATE_MAX_LETTERS:
        return None
    found = next((match for form in FORMS if (match := form.fullmatch(text))), None)
    if found is None or found["month"] not in MONTHS:
        return None
    year, month, day = int(found["year"]), MONTHS.index(found["month"]), int(found["day"])
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if len(found["year"]) > 2:
        return _since_1970(year, month, day, hour, minute, second)
    later_s = _since_1970(2000 + year, month, day, hour, minute, second)
    if wall_s is None or later_s is None or later_s - wall_s <= YEARS_AHEAD_S:
        return later_s
    return _since_1970(1900 + year, month, day, hour, minute, second)


def _since_1970(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    """`month` from 0. None: there is no such date. A leap second is the one after it."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if not 1 <= day <= DAYS[month] + (month == 1 and is_leap) or hour > 23 or minute > 59 or second > 60:
        return None
    years = year - 1
    days = 365 * years + years // 4 - years // 100 + years // 400 - 719_162  # to the first day of this year
    days += sum(DAYS[:month]) + (month > 1 and is_leap) + day - 1
    return float(days * DAY_S + hour * 3600 + minute * 60 + second)
