"""What a replica that does not lead says of itself unasked: how far it is, to the leader; and its question, where it
does not vote, whether the journal is still there.

Owns: who was greeted or asked. Never knows: what the answers change.
"""

from gossipreg.journal.leaderless import leader_of
from gossipreg.journal.messages import AskLeader, ReplicaHello
from gossipreg.journal.replica_data import ReplicaData
from gossipreg.journal.standing import NO_QUESTION
from gossipreg.model import BootId


class Greeting:
    def __init__(self, data: ReplicaData) -> None:
        self._data = data
        self._greeted = False
        self._asked: frozenset[BootId] = frozenset()
        """The processes of voters that were asked whether they lead, while nobody is known to."""

    def reached(self) -> None:
        """The leader has reached us, and our answer says how far we are; or we lead."""
        self._greeted = True

    def again(self) -> None:
        """The leader does not know us."""
        self._greeted = False
        self.look()

    def look(self) -> None:
        """Members or rows changed, and we do not lead."""
        data = self._data
        if data.out is None and data.context.membership.synced_at is not None:
            self._greet()
            self._ask()

    def _greet(self) -> None:
        """Say to the leader how far we are, once: this process has started, or its disk works again."""
        data = self._data
        if self._greeted or (leader := leader_of(data)) is None:
            return
        self._greeted = True
        hello = ReplicaHello(
            journal=data.journal, sender=data.replica, receiver=leader.ballot.replica, promised=data.promised,
            position=data.log.last,
        )  # fmt: skip
        data.send(leader.node, hello)

    def _ask(self) -> None:
        """A replica that does not vote, and that nobody leads, asks each process of a voter once. It never stands, so
        it would not hear that the journal has ended, that it was dismissed, or that the voter has lost its disk."""
        data, membership = self._data, self._data.context.membership
        if data.votes:
            return
        asked, self._asked = self._asked, frozenset()
        if leader_of(data) is not None:
            return
        seen = {place: membership.member(place.node) for place in data.other_voters()}
        self._asked = frozenset(member.boot_id for member in seen.values() if member.runs)
        for place, member in seen.items():
            if member.boot_id in self._asked - asked:
                data.send(
                    place.node,
                    AskLeader(journal=data.journal, sender=data.replica, receiver=place.replica, number=NO_QUESTION),
                )
