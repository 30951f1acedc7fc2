"""One member's row as this member holds it: what its owner wrote, and what is known of its owner's life.

Owns: the meaning of a row's state (what counts, what answers, where a pull goes on) and the precedence of claims. Must
never know: other rows, how a fingerprint is computed, what time it is. The table keeps times, a hash and a size with
each row; nothing here decides by them.

Content and liveness are versioned apart, so that a change made just before a crash, and found an hour later, revives
nobody, and a refutation wakes no watcher.

`content` is what answers. `shadow` is a snapshot on its way: of a newer generation, or of the same one where what is
here turned out to be wrong, or too old for the owner's floor. It takes the place of `content` when it is whole. The
liveness is always of the newest generation that was heard of, since any part of a generation implies that it lives.
"""

from enum import Enum

from gossipreg.core.table.content import Content
from gossipreg.model import NOTHING, Liveness, Member, NodeId, Rank, Status, Version


class State(Enum):
    ALIVE = "alive"
    SUSPECT = "suspect"
    DEAD = "dead"
    LEFT = "left"


class Standing(Enum):
    """Whether a member lives, seen from here. Every interface tells the same. The values are for people."""

    LIVES = "lives"
    """It may have services in the answers; suspected, restarting or in maintenance too."""
    DEAD = "dead"
    """It has been declared dead, or it is hidden: unreachable from here while no other member could confirm it."""
    LEFT = "left"


_STATES = {Rank.ALIVE: State.ALIVE, Rank.SUSPECT: State.SUSPECT, Rank.DEAD: State.DEAD}


def rises(held: Liveness, left: bool, claim: Liveness) -> bool:
    """The precedence of claims: whether this one replaces what is held.

        the claim's generation    the row is left    not left
        lower                     no                 no
        the same                  no                 where (incarnation, rank) is larger
        higher                    yes                yes

    To leave is the owner's last word in a generation: nobody argues with it.
    """
    return claim > held and not (left and claim.generation == held.generation)


class Row:
    __slots__ = (
        "changed_at",
        "content",
        "forget_at",
        "hash",
        "hidden",
        "hold_until",
        "id",
        "liveness",
        "member",
        "member_entry",
        "member_generation",
        "refetched",
        "reporter",
        "settled_member",
        "settled_standing",
        "settled_state",
        "shadow",
        "shared",
        "silenced",
        "size_bytes",
        "unproven",
    )

    def __init__(self, id: NodeId, liveness: Liveness, now: float) -> None:
        self.id = id
        self.content: Content | None = None
        self.shadow: Content | None = None
        self.liveness = liveness
        self.silenced = False
        """A newer generation is known, and the old one did not answer just before."""
        self.hidden = False
        """Taken out of our own answers alone: nobody is heard to confirm what we see of it."""
        self.unproven = False
        """Told by others, and too old or too new to be believed before its owner answers."""
        self.changed_at = now
        """When its state last changed here."""
        self.reporter: NodeId | None = None
        """Who first said what made it suspect or dead."""
        self.hold_until = float("-inf")
        """It said that it restarts: no verdict before this."""
        self.member: Member | None = None
        """Its own entry, of the newest generation that has one."""
        self.member_generation = 0
        self.member_entry: tuple[int, bytes | None] | None = None
        """What `member` was read from."""
        self.refetched = NOTHING
        """The head at which it was last fetched again for its digest: once is enough."""
        self.shared = False
        """Other tables in this process hold it too (`simulations/formed.py`): it is copied before it is changed."""
        # What the table has accounted for it:
        self.settled_state = State.ALIVE
        self.settled_standing: Standing | None = None
        self.settled_member: Member | None = None
        self.hash = 0
        self.size_bytes = 0
        self.forget_at = float("inf")

    def copy(self) -> "Row":
        """The same in an object of its own, with content of its own; a shadow is never shared."""
        new = Row(self.id, self.liveness, self.changed_at)
        for name in self.__slots__:
            setattr(new, name, getattr(self, name))
        new.shared = False
        if self.content is not None:
            new.content = self.content.copy()
        return new

    @property
    def left(self) -> bool:
        """Its owner said so, in the newest generation that is known."""
        member = self.member
        return (
            member is not None and member.status is Status.LEFT and self.member_generation == self.liveness.generation
        )

    @property
    def dead(self) -> bool:
        return self.liveness.rank is Rank.DEAD

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
        """It counts as a member: neither dead nor left, and not in doubt."""
        return not (self.unproven or self.liveness.rank is Rank.DEAD or self.left)

    @property
    def lives(self) -> bool:
        """Whether it is alive, seen from here: active, and not hidden from our own answers."""
        return self.active and not self.hidden

    @property
    def standing(self) -> Standing | None:
        """Whether this member lives, seen from here. None: it is not known what it is, or its row is quarantined."""
        if self.member is None:
            return None
        if self.lives:
            return Standing.LIVES
        if self.unproven:
            return None
        return Standing.LEFT if self.state is State.LEFT else Standing.DEAD

    @property
    def lags(self) -> bool:
        """The content, if any, is of an older generation than the newest that is known."""
        return self.content is None or self.content.generation < self.liveness.generation

    @property
    def answers(self) -> bool:
        """Its services are given out. Where the content lags, only if they were just before."""
        return self.content is not None and not self.silenced and self.lives

    @property
    def behind(self) -> bool:
        """There is more to fetch, as far as we were told."""
        content = self.content
        return self.shadow is not None or content is None or self.lags or content.counter < content.head

    @property
    def version(self) -> Version:
        """What is held: of the content, else of a first snapshot on its way."""
        content = self.content or self.shadow
        return NOTHING if content is None else Version(content.generation, content.counter)

    @property
    def told(self) -> Version:
        """Of the content alone: what others can have of this row from here, as a whole."""
        return NOTHING if self.content is None else Version(self.content.generation, self.content.counter)

    @property
    def pull_from(self) -> Version:
        """Where a pull goes on."""
        generation = self.liveness.generation
        if self.shadow is not None:
            return Version(generation, self.shadow.counter)
        if self.content is None or self.lags:
            return Version(generation, 0)
        return Version(generation, self.content.counter)

    @property
    def member_source(self) -> Content | None:
        """Where its own entry is to be read: the newest generation that has one."""
        if self.shadow is not None and self.lags and 0 in self.shadow.entries:
            return self.shadow
        return self.content
