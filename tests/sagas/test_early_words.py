"""Where programs are, said to a leader that is not established yet, or again."""

import pytest

from gossipreg.model import NodeId
from gossipreg.sagas.early_words import EarlyWords
from gossipreg.sagas.saga_messages import ProgramHere, ProgramLost
from tests.sagas.bench import Bench, is_over
from tests.sagas.bench_parts import JOURNAL, SagaSidecar


def claim(bench: Bench, sidecar: SagaSidecar) -> None:
    """Its claim is seen before it is established: `lead` comes next."""
    bench.leader = sidecar
    bench.members_changed()


def lose_lead(bench: Bench) -> None:
    """For a moment nobody leads."""
    assert bench.leader is not None
    bench.depose(bench.leader)
    bench.leader = None
    bench.members_changed()


def test_a_word_about_programs_that_comes_before_the_lead_counts() -> None:
    """The claim of a leader is seen before its first entry is committed."""
    bench = Bench(members=3)
    _, new, other = bench.sidecars
    saga = bench.begin(at=other)
    bench.step(saga, "reserve", other)
    bench.crash(bench.sidecars[0])
    claim(bench, new)
    bench.run(1.0)
    bench.lead(new)
    bench.run(25.0)
    assert bench.ok("commit", other, saga=saga) == {"state": "committed"}


def test_a_program_that_is_lost_before_the_lead_is_lost() -> None:
    bench = Bench(members=3)
    _, new, other = bench.sidecars
    saga = bench.begin(at=other)
    bench.step(saga, "reserve", other)
    bench.crash(bench.sidecars[0])
    claim(bench, new)
    bench.run(1.0)
    bench.lose_program(saga, other)
    bench.run(0.5)
    bench.lead(new)
    bench.run(10.5)
    assert is_over(bench)


def test_a_word_before_the_lead_ends_with_its_process() -> None:
    bench = Bench(members=3)
    _, new, other = bench.sidecars
    saga = bench.begin(at=other)
    bench.step(saga, "reserve", other)
    bench.crash(bench.sidecars[0])
    claim(bench, new)
    bench.run(1.0)
    bench.crash(other)
    bench.lead(new)
    bench.run(11.0)
    assert is_over(bench)


def test_a_leader_that_lost_the_lead_for_a_moment_knows_the_programs() -> None:
    bench = Bench(members=2)
    one, other = bench.sidecars
    saga = bench.begin(at=other)
    bench.step(saga, "reserve", other)
    lose_lead(bench)
    bench.run(1.0)
    bench.lead(one)
    bench.run(25.0)
    assert bench.ok("commit", other, saga=saga) == {"state": "committed"}


def test_words_before_the_lead_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipreg.sagas.early_words.MAX_EARLY_WORDS", 3)
    node, other = NodeId(b"n" * 16), NodeId(b"o" * 16)
    words = EarlyWords()
    words.said(node, ProgramHere(journal=JOURNAL, sagas=("a", "b", "c", "a")))
    words.said(other, ProgramHere(journal=JOURNAL, sagas=("d",)))
    words.said(node, ProgramLost(journal=JOURNAL, sagas=("c",)))
    assert len(words) == 3
    words.members_changed(lambda _: False)
    words.closed(other)
    assert words.take(JOURNAL) == [
        (node, ProgramHere(journal=JOURNAL, sagas=("a",))),
        (node, ProgramLost(journal=JOURNAL, sagas=("c",))),
    ]
    assert (words.take(JOURNAL), len(words)) == ([], 0)
    words.said(node, ProgramHere(journal=JOURNAL, sagas=("a",)))
    words.members_changed(lambda _: True)
    assert len(words) == 0
    words.said(node, ProgramHere(journal=JOURNAL, sagas=("a",)))
    words.closed(node)
    assert len(words) == 0
