"""One member's row as this member holds it: what its owner wrote, and whether the owner lives.

Owns: what follows from a row's state (is it a member, are its services in the answers, from which version is it
pulled) and the precedence of claims. Must never know: other rows, how a fingerprint is computed, what time it is. The
table keeps times, a hash and a size with each row; nothing here decides by them. Only the table changes a row.

Content and liveness have versions of their own. So a change that was made just before a crash, and that arrives an hour
later, does not make a dead member alive again; and a refutation changes no content, so it wakes no watcher.

`content` is given out in answers. `shadow` is a full row that is being pulled (`shadow.py`). When it is complete it
replaces `content`. The liveness is always that of the newest generation that is known: any part of a generation shows
that its owner lives.

What can be asked of a row. Stored:

    hidden           it is out of our own answers alone: unreachable from here while no other member could confirm it.
                     Standing, names and the index ask
    quarantined      another member sent the row, and its generation is too old or too new to believe before its owner
                     has answered. Quarantine, gossip, the index and the view ask
    silenced         its content is of an older generation, and was not in the answers before that one was known.
                     `answers` alone asks: it cannot be derived, because it is about the past

and derived:

    dead             it is declared dead. All parts that gossip or probe ask
    left             its owner has announced that it left. The same parts ask
    declared_left    an operator has declared it left (force-leave). The gossip of claims and the reasons for people ask
    active           it counts as a member: neither dead, left nor quarantined. Fingerprint, ring and failure detector
                     ask
    lives            it is alive, seen from here: active and not hidden. Standing, answers and names ask
    lags             its content is missing, or of an older generation than the newest. The merge, the pages and the
                     fingerprint ask
    answers          its services are in the answers: it lives, and its content is not silenced. The catalog asks
    state            alive, suspect, dead or left, as all members should see it. People and timers of forgetting ask
    standing         lives, dead or left, seen from here. Every interface asks
"""

from enum import Enum
from math import inf

from gossipreg.core.table.content import Content
from gossipreg.model import NOTHING, Liveness, Member, NodeId, Rank, Status, Version


class State(Enum):
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


class Standing(Enum):
    """Whether a member lives, seen from here: the same for every interface. The values are for people."""

    LIVES = "lives"
    """It may have services in the answers. It may also be suspected, restarting or in maintenance."""
    DEAD = "dead"
    """It has been declared dead, or it is hidden: unreachable from here while no other member could confirm it."""
    LEFT = "left"


_STATES = {Rank.ALIVE: State.ALIVE, Rank.SUSPECT: State.SUSPECT, Rank.DEAD: State.DEAD}


def rises(held: Liveness, left: bool, claim: Liveness) -> bool:
    """The precedence of claims: whether this one replaces what is held.

        the claim's generation    the row is left    not left
        lower                     no                 no
        the same                  no                 if (incarnation, rank) is larger
        higher                    yes                yes

    A member that has left stays left for the rest of that generation: no claim changes it.
    """
    return claim > held and not (left and claim.generation == held.generation)


class Row:
    __slots__ = (
        "changed_at",
        "content",
        "hash",
        "hidden",
        "hold_until",
        "id",
        "liveness",
        "member",
        "member_entry",
        "member_generation",
        "quarantined",
        "refetched",
        "reporter",
        "seen_member",
        "seen_standing",
        "seen_state",
        "shadow",
        "silenced",
        "size_bytes",
    )

    def __init__(self, id: NodeId, liveness: Liveness, now: float) -> None:
        self.id = id
        self.content: Content | None = None
        self.shadow: Content | None = None
        self.liveness = liveness
        self.silenced = False
        self.hidden = False
        self.quarantined = False
        self.changed_at = now
        """When its state last changed here."""
        self.reporter: NodeId | None = None
        """The accuser: the member whose claim made it suspect or dead."""
        self.hold_until = -inf
        """It announced a restart: nobody declares it dead before this time."""
        self.member: Member | None = None
        """Its own entry, of the newest generation that has one."""
        self.member_generation = 0
        self.member_entry: tuple[int, bytes | None] | None = None
        """The encoded entry that `member` was decoded from."""
        self.refetched = NOTHING
        """The version at which the row was last pulled again because its digest was wrong: once for each version."""
        # As the table saw and counted this row after its last change:
        self.seen_state = State.ALIVE
        self.seen_standing: Standing | None = None
        self.seen_member: Member | None = None
        self.hash = 0
        self.size_bytes = 0

    @property
    def dead(self) -> bool:
        return self.liveness.rank is Rank.DEAD

    @property
    def left(self) -> bool:
        """Whether its owner has announced, in the newest generation that is known, that it left."""
        member = self.member
        return (
            member is not None and member.status is Status.LEFT and self.member_generation == self.liveness.generation
        )

    @property
    def declared_left(self) -> bool:
        """Whether an operator has declared this dead member left (force-leave): then the member itself is the accuser
        in the claim. It may refute that as any other claim."""
        return self.liveness.rank is Rank.DEAD and self.reporter == self.id

    @property
    def state(self) -> State:
        return State.LEFT if self.left or self.declared_left else _STATES[self.liveness.rank]

    @property
    def active(self) -> bool:
        """Whether it counts as a member: neither dead, left nor quarantined."""
        return not (self.quarantined or self.liveness.rank is Rank.DEAD or self.left)

    @property
    def lives(self) -> bool:
        """Whether it is alive, seen from here: active, and not hidden from our own answers."""
        return self.active and not self.hidden

    @property
    def standing(self) -> Standing | None:
        """Whether this member lives, seen from here. None if its own entry is not known yet, or while its row is
        quarantined."""
        if self.member is None:
            return None
        if self.lives:
            return Standing.LIVES
        if self.quarantined:
            return None
        return Standing.LEFT if self.state is State.LEFT else Standing.DEAD

    @property
    def lags(self) -> bool:
        """Whether the content is missing, or of an older generation than the newest that is known."""
        return self.content is None or self.content.generation < self.liveness.generation

    @property
    def answers(self) -> bool:
        """Whether its services are in the answers. If the content lags, only if they were in the answers before."""
        return self.content is not None and not self.silenced and self.lives

    @property
    def version(self) -> Version:
        """The version that is held: of the content, or of the shadow while there is no content yet."""
        content = self.content or self.shadow
        return NOTHING if content is None else Version(content.generation, content.counter)

    @property
    def content_version(self) -> Version:
        """The version of the content alone: the one that can be gossiped, and that others can pull from here."""
        return NOTHING if self.content is None else Version(self.content.generation, self.content.counter)

    @property
    def pull_from(self) -> Version:
        """The version from which a pull continues."""
        generation = self.liveness.generation
        if self.shadow is not None:
            return Version(generation, self.shadow.counter)
        content = self.content
        return Version(generation, 0 if content is None or content.generation < generation else content.counter)
