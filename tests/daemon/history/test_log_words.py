"""Every kind of line in the log is either a line of the history, or left out for a reason."""

import ast
import re
from pathlib import Path

import gossipreg
from gossipreg.core import effects
from gossipreg.core.effects import Event
from gossipreg.daemon.history.log_words import LEFT_OUT, WORDS
from gossipreg.daemon.log_events import in_words

PACKAGE = Path(gossipreg.__file__).parent
ELSEWHERE = {"keys_read"}
"""Kinds whose words are in `from_log.py`."""
OF_LOGS = ("info", "warning", "error", "debug", "line")
"""Methods of something whose name has `log` in it."""
OF_ANYTHING = ("log_line", "event", "log", "drop", "LogEvents", "LogSagas", "JournalEvent")
KIND = re.compile(r"[a-z]+(_[a-z]+)+|signal|leaving|stopped|reload|start|bug")


def kinds_in_code() -> set[str]:
    """The literal kinds that the package logs, and those of events of the core, of journals, events and sagas."""
    found = set(re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", (effects.Event.__doc__ or "").partition("Kinds:")[2]))
    for part in ("daemon", "journal", "events", "sagas"):
        for path in (PACKAGE / part).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    found |= set(kinds_of(node))
    return found


def kinds_of(call: ast.Call) -> list[str]:
    function = ast.unparse(call.func)
    receiver, _, name = function.rpartition(".")
    if name not in OF_ANYTHING and not (name in OF_LOGS and "log" in receiver.lower()):
        return []
    texts = [one.value for one in call.args[:2] if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return [text for text in texts if KIND.fullmatch(text)]


def test_every_kind_of_the_log_is_kept_or_left_out_for_a_reason() -> None:
    kinds = kinds_in_code()
    assert kinds >= {"member_dead", "service_expired", "event_dead", "saga_stuck", "journal_led", "journal_ended"}
    unknown = {kind for kind in kinds if kind not in {*WORDS, *LEFT_OUT, *ELSEWHERE} and not kind.endswith("_not_read")}
    assert not unknown, "give them words in daemon/history/log_words.py, or a reason in its LEFT_OUT"


def test_no_kind_is_both_kept_and_left_out() -> None:
    assert WORDS.keys() & LEFT_OUT.keys() == set()


def test_words_can_be_made_of_a_line_without_fields() -> None:
    for kind, words in WORDS.items():
        assert isinstance(words({"id": "billing-1"}), str), kind


def test_a_stall_is_told_as_the_least_time_that_it_took() -> None:
    """Until its next timer is due a process does not know that it stands still."""
    told = in_words(Event("stalled", (("late_s", 0.519),)), cluster="default")
    assert told.startswith("this sidecar did not run for at least 0.519 s: ")


def test_an_isolation_that_lasts_is_not_told_as_its_end() -> None:
    """`alone_over`: what was known is too old to answer from; `not_alone`: a member was heard (`isolation.py`)."""
    assert WORDS["not_alone"]({}) == "isolated no more: a member is heard again"
    assert WORDS["alone_over"]({}) == "isolated for too long: the services of others leave the answers"
