"""The ways to break the journals on purpose, for the test of their checkers (`simulations/selftest.py`).

Owns: what is broken, each by replacing one function of `gossipreg.journal`. Never knows: how a run is made.
"""

from dataclasses import replace
from math import inf
from typing import Any

from gossipreg.journal import progress
from gossipreg.journal.confirmations import Confirmations
from gossipreg.journal.disk import ReplicaDisk
from gossipreg.journal.effects import Confirmed, Established, SendMessage
from gossipreg.journal.journals import Journals
from gossipreg.journal.leading import Leading
from gossipreg.journal.log import ReplicaLog
from gossipreg.journal.membership import ProcessStanding
from gossipreg.journal.messages import PreVote, PreVoteAnswer, RequestVote, Vote
from gossipreg.journal.model import NO_BALLOT, EntryKind
from gossipreg.journal.orphan import OwnerAway
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.standing import Candidacy, LookTimer
from gossipreg.journal.state import Records
from gossipreg.journal.values import encode_configuration
from gossipreg.streams.broken import BrokenStreams
from simulations.breaks import Break
from simulations.scenario import Case
from simulations.scenarios import journal


def older_entries_counted(_: Any) -> Any:
    def advance(self: Leading) -> None:
        data = self._data
        index = data.configuration.held_by_majority(self._held_by)
        if index > data.committed and data.log.position_at(index) is not None:
            data.commit(index)
            self._committed()

    return advance


def established_at_once(begin: Any) -> Any:
    def broken(self: Leading) -> None:
        begin(self)
        self.established = True
        self._data.context.effects.append(Established(self._data.journal, self.ballot))

    return broken


def lost_replica_votes(receive: Any) -> Any:
    """A sidecar votes for whoever asks, though it has lost the replica that is asked."""

    def broken(self: Journals, node: Any, message: Any, now: float) -> Any:
        if message.journal in self.replicas or not isinstance(message, PreVote | RequestVote):
            return receive(self, node, message, now)
        answers: dict[str, Any] = {"journal": message.journal, "sender": message.receiver, "receiver": message.sender}
        if isinstance(message, PreVote):
            vote = PreVoteAnswer(**answers, attempt=message.attempt, granted=True, promised=NO_BALLOT)
            return [SendMessage(node, vote)]
        return [SendMessage(node, Vote(**answers, ballot=message.ballot, granted=True, promised=message.ballot))]

    return broken


def promise_in_memory(_: Any) -> Any:
    return lambda _self, _ballot: None


def answers_too_early(_: Any) -> Any:
    return lambda self, node, message: self.send(node, message)


def replaced_at_once(_: Any) -> Any:
    def propose_configuration(self: Leading, configuration: Any) -> None:
        self._append(EntryKind.CONFIGURATION, encode_configuration(configuration), None)

    return propose_configuration


def stands_on_verdicts(schedule: Any) -> Any:
    def broken(self: Candidacy) -> None:
        last, data = self._last, self._data
        standing = None if last is None else data.context.membership.member(last.node).standing
        alone = data.configuration.has_majority({data.replica})
        if alone or standing in (ProcessStanding.REFUSED, ProcessStanding.SILENT):
            schedule(self)

    return broken


def confirmed_unasked(_: Any) -> Any:
    def begin(self: Confirmations, number: int) -> bool:
        self._data.context.effects.append(Confirmed(self._data.journal, number))
        return True

    return begin


def matches_anything(_: Any) -> Any:
    return lambda self, position: position.index <= self.last.index


def records_dropped(pieces: Any) -> Any:
    """The state arrives without its last record."""

    def broken(records: dict[bytes, bytes], limit_bytes: int) -> Any:
        return pieces(dict(list(records.items())[:-1]), limit_bytes)

    return broken


def value_let_go_too_early(on_disk: Any) -> Any:
    """A large value leaves memory with the next write, also if its own write is still under way."""
    return lambda self, applied: on_disk(self, applied + 1)


def stage_thrown_away(reset: Any) -> Any:
    """A state that has arrived begins without the large records that were staged for it."""
    return lambda self, base, records, stage=None: reset(self, base, records)  # noqa: ARG005  that is the fault


def ends_what_holds_something(_: Any) -> Any:
    return lambda self: self._leading.may_change


def looks_for_ever(look: Any) -> Any:
    def broken(self: Candidacy, leads: bool) -> None:
        look(self, leads)
        self._data.context.timers.set(LookTimer(self._data.journal), self._data.context.now + 20.0)

    return broken


def not_let_go(_: Any) -> Any:
    return lambda _self, _place: None


def not_opened_again(_: Any) -> Any:
    return lambda _self, _node, _now: inf


_CASE = Case(nodes=5, duration_s=60.0)


def _break(what: str, fires: tuple[str, ...], owner: Any, attribute: str, instead: Any, seed: int = 1) -> Break:
    return Break(what, fires, owner, attribute, instead, replace(_CASE, seed=seed), journal.run)


_ENTRY_LOST = ("leader_completeness", "state_safety", "acked_survives")
_TWO_LEADERS = ("one_leader", "fenced", "log_matching")

JOURNAL_BREAKS: tuple[Break, ...] = (
    _break("older entries are counted", ("only_committed",), Leading, "advance", older_entries_counted),
    _break("a leader acts before its first entry", ("only_committed",), Leading, "begin", established_at_once),
    _break("a vote after a lost disk", _ENTRY_LOST, Journals, "receive", lost_replica_votes, 54),
    _break("a promise that is forgotten in a crash", _TWO_LEADERS, ReplicaDisk, "promise", promise_in_memory, 6),
    _break("an answer before its write", ("only_committed",), ReplicaData, "send_when_written", answers_too_early),
    _break("voters replaced at once", ("joint_changes",), Leading, "propose_configuration", replaced_at_once),
    _break("voters that stand on verdicts only", ("journal_liveness",), Candidacy, "_schedule", stands_on_verdicts),
    _break("a proof without asking", ("fenced",), Confirmations, "begin", confirmed_unasked),
    _break("a log that matches anything", ("log_matching", "only_committed"), ReplicaLog, "matches", matches_anything),
    _break("a state without a record", ("state_safety",), progress, "pieces", records_dropped),
    _break("a large value let go too early", ("large_values",), Records, "on_disk", value_let_go_too_early),
    _break("a state without its stage", ("large_values",), ReplicaDisk, "reset", stage_thrown_away),
    _break(
        "a journal that is ended with what it holds",
        ("journal_liveness", "acked_survives"),
        OwnerAway,
        "_holds_nothing",
        ends_what_holds_something,
        68,
    ),
    _break("a replica that nobody lets go", ("journal_liveness",), Leading, "dismiss", not_let_go, 3),
    Break(
        "a stream that broke at one end",
        ("journal_liveness",),
        BrokenStreams,
        "broke",
        not_opened_again,
        Case(nodes=6, duration_s=10.0, label="one_end=1 journals=6"),
        journal.run,
    ),
    _break("timers at rest", ("journal_silence",), Candidacy, "look", looks_for_ever),
)
