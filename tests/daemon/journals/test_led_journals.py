"""What events and sagas ask of the journals of a sidecar."""

from types import SimpleNamespace
from typing import Any

import pytest

from gossipreg.core.journal_membership import RegistryMembership
from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from gossipreg.journal.model import ROUNDS_OF_ERA, Ballot, JournalId, Position
from tests.core.test_journal_membership import BALLOT, JOURNAL, three


def remembering(membership: RegistryMembership) -> JournalsOfRuntime:
    """The journals of a sidecar that remembers the end of one."""
    copy = SimpleNamespace(data=SimpleNamespace(ended=True, log=SimpleNamespace(last=Position(BALLOT, 9))))
    runtime: Any = SimpleNamespace(journals=SimpleNamespace(replicas={JOURNAL: copy}), membership=membership)
    return JournalsOfRuntime(runtime, object)


def test_journal_that_is_led_after_its_end_has_not_ended() -> None:
    """It was recovered by hand. A sidecar that remembers the end called its sagas forgotten, so that an outbox there
    began them once more in another journal."""
    cluster, (one, two, _), follows = three()
    journals = remembering(follows.of[two.number])
    assert journals.ended() == [JOURNAL]
    cluster.act(one, follows.of[one.number].claim(JOURNAL, BALLOT, cluster.now))
    cluster.run(1.0)
    assert journals.ended() == []
    cluster.act(one, follows.of[one.number].withdraw(JOURNAL, cluster.now))
    cluster.act(one, follows.of[one.number].announce_leaderless([JOURNAL], cluster.now)[1])
    cluster.run(1.0)
    assert journals.ended() == [], "its leader was lost"
    cluster.crash(one)
    cluster.run(10.0)
    assert journals.ended() == [JOURNAL], "what a member said that is gone may be over"


@pytest.mark.parametrize(("recovered", "ended"), [(False, [JOURNAL]), (True, [])])
def test_journal_of_a_dead_leader_has_ended_if_it_led_before_the_end(recovered: bool, ended: list[JournalId]) -> None:
    """Until its other voters announced that nobody leads it, 2 s later, it was held for ended."""
    cluster, (one, two, _), follows = three()
    ballot = Ballot(ROUNDS_OF_ERA + 1 if recovered else BALLOT.round + 5, BALLOT.replica)
    cluster.act(one, follows.of[one.number].claim(JOURNAL, ballot, cluster.now))
    cluster.run(1.0)
    journals = remembering(follows.of[two.number])
    cluster.crash(one)
    cluster.run(10.0)
    assert follows.of[two.number].is_dead(one.id)
    assert journals.ended() == ended
