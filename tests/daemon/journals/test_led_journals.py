"""What events and sagas ask of the journals of a sidecar."""

from types import SimpleNamespace
from typing import Any

from gossipreg.daemon.journals.led_journals import JournalsOfRuntime
from tests.core.test_journal_membership import BALLOT, JOURNAL, three


def test_journal_that_is_led_after_its_end_has_not_ended() -> None:
    """It was recovered by hand. A sidecar that remembers the end called its sagas forgotten, so that an outbox there
    began them once more in another journal."""
    cluster, (one, two, _), follows = three()
    copy = SimpleNamespace(data=SimpleNamespace(ended=True))
    membership = follows.of[two.number]
    runtime: Any = SimpleNamespace(journals=SimpleNamespace(replicas={JOURNAL: copy}), membership=membership)
    journals = JournalsOfRuntime(runtime, object)
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
