"""`Service`: the instances of one service, as a program reads them. See `registry.py`.

A read takes two attributes: the watcher swaps the snapshot, and marks the new one if it is stale. Only a stale one, or
none, goes the long way: start the watcher, wait for the first snapshot, compare the age.
"""

from collections.abc import Callable
from time import monotonic
from typing import NamedTuple, Self, TypeVar

from gossipreg.client.calling import attempted, keep, run_call
from gossipreg.client.checks import check_bool, check_callable, check_count, check_number, check_text, refuse_coroutine
from gossipreg.client.fallback import FallbackLimits, of_limits
from gossipreg.client.incoming import INCOMING
from gossipreg.client.instance import Instance
from gossipreg.client.picked import PickedInstance, SinglePick
from gossipreg.client.picker import Picker
from gossipreg.client.picking.balancer import DEADLINE_S
from gossipreg.client.picking.options import CallOptions, PickOptions
from gossipreg.client.snapshot import Snapshot, boot_clock, matching
from gossipreg.client.watching.feed import ServiceFeed
from gossipreg.client.watching.link import SidecarLink
from gossipreg.client.watching.waiters import wait_until
from gossipreg.client.watching.watcher import WATCHER
from gossipreg.errors import BadParams, ChooseSocket, DeadlineExceeded, NotSynced, Refused, TooStale

T = TypeVar("T")


CHECK_S = 5.0
"""Programs whose requests fail ask the sidecar no more often."""


class RegistrySettings(NamedTuple):
    timeout_s: float
    """How long a lookup waits for the first snapshot."""
    max_stale_s: float | None
    """Older snapshots are not given out; None: all are."""
    caller: str | None = None
    """The service that the program belongs to; None: it has not said so."""


class PolicyChoice(NamedTuple):
    """What `Service.configure` sets."""

    policy: str = "adaptive"
    panic: str = "passing"
    caller: str | None = None


class Service:
    """One service. All threads may share it; it is made by `Registry.service`."""

    def __init__(
        self, registry: object, link: SidecarLink, settings: RegistrySettings, name: str, tags: frozenset[str],
        zone: str | None,
    ) -> None:  # fmt: skip
        self.registry = registry
        """Lives as long as this: otherwise its connection would end."""
        self.name = name
        self.tags = tags
        self.zone = zone
        """Only instances in this zone; None: in any."""
        self._link = link
        self._settings = settings
        self.feed = link.feed(name)
        """What the watcher knows of the name, before `tags` and `zone`."""
        self._all = not tags and zone is None
        self._matched: tuple[Snapshot, Snapshot] | None = None
        """A snapshot of the name, and what `tags` and `zone` leave of it."""
        self._choice = PolicyChoice()
        self._pickers: dict[PolicyChoice, Picker] = {}
        self._current: tuple[PolicyChoice, Picker] | None = None
        """The choice and its picker, found without hashing the choice: this is the hot path of `pick`."""

    @property
    def instances(self) -> tuple[Instance, ...]:
        """The passing instances, in the order of (node, id).

        The first read waits until the sidecar has answered, at most `timeout` of `connect`. Later ones wait for
        nothing. Raises NotSynced if nothing is known yet, TooStale if nobody has confirmed what is known for
        `max_stale`, Refused if the sidecar does not take this name or the registry is closed.
        """
        snapshot = self.feed.snapshot
        if snapshot is not None and snapshot.stale_since is None and self._all:
            return snapshot.instances
        return self.snapshot.instances

    @property
    def snapshot(self) -> Snapshot:
        """The instances with what is known of them: since when they are stale, and whether there may be more. It waits
        and raises as `instances` does."""
        snapshot = self.feed.snapshot
        if snapshot is None or snapshot.stale_since is not None:
            snapshot = self._read(snapshot, self.timeout_s)
        return snapshot if self._all else self._match(snapshot)

    @property
    def known(self) -> Snapshot | None:
        """The snapshot as `snapshot` gives it, however old, or None if there is none. It waits for nothing."""
        snapshot = self.feed.snapshot
        return None if snapshot is None else self._match(snapshot)

    def wait(self, count: int = 1, timeout: float | None = None) -> tuple[Instance, ...]:
        """Wait until at least `count` instances pass, and return them. Raises NotSynced if there are fewer after
        `timeout` seconds; None: the `timeout` of `connect`."""
        wait_s = self.wait_s(count, timeout)
        self.use()
        if not self._wait(lambda: self.has(count), wait_s):
            raise self.too_few(count, wait_s)
        return self.instances

    def wait_s(self, count: int, timeout: float | None) -> float:
        """How long `wait` waits. Raises BadParams."""
        check_count("count", count, "how many instances have to pass")
        if timeout is None:
            return self.timeout_s
        check_number("timeout", timeout, "the seconds to wait, or None for the `timeout` of connect")
        return timeout

    @property
    def timeout_s(self) -> float:
        """How long a first lookup waits."""
        return self._settings.timeout_s

    # -- requests ------------------------------------------------------------------------------------------------------

    def configure(self, *, policy: str = "adaptive", panic: str = "passing", caller: str | None = None) -> Self:
        """Set how instances are picked; see `docs/client.md`. What was learnt under other settings is set aside.

        `policy`: adaptive, least_request, round_robin, random or ring_hash. `panic`: with "all", instances that are
        warning or critical are picked if none passes. `caller`: the service that this program belongs to; requests stay
        in its zone as far as the zone's instances carry its part of the callers. None: the `service` of `connect`.
        Raises BadParams.
        """
        check_text("caller", caller, "the name of a service")
        try:
            PickOptions(policy, panic)
        except ValueError as error:
            raise BadParams(str(error)) from None
        self._choice = PolicyChoice(policy, panic, caller)
        return self

    def pick(self, key: str | None = None, *, deadline: float = DEADLINE_S) -> SinglePick:
        """`with service.pick() as instance:` one request, to the instance that suits it best.

        When the block is left, latency and outcome are recorded. `key`: the same key gets the same instance.
        `deadline`: the seconds that the request may take, as `instance.timeout_s` says.

        Entering the block raises what `snapshot` raises, NoInstance if no instance passes, BreakerOpen if nearly all
        requests of the last seconds failed.
        """
        if type(deadline) is not float:  # the usual case needs no check, and this is the hot path
            check_number("deadline", deadline, "the seconds that the request may take")
        if key is not None:
            check_text("key", key, "what the same requests have in common")
        if not deadline > 0:
            raise BadParams(f"deadline {deadline!r} is not more than 0: give the seconds that the request may take")
        return SinglePick(self.picker, key, deadline)

    def call(
        self,
        fn: Callable[[PickedInstance], T],
        *,
        idempotent: bool = False,
        deadline: float = DEADLINE_S,
        fallback: "Service | Callable[[], T] | Callable[[FallbackLimits], T] | None" = None,
        hedge: bool = False,
        key: str | None = None,
        attempts: int = 3,
        depth: int | None = None,
    ) -> T:
        """Call `fn(instance)`, again at another instance where that is allowed, and return its result.

        `idempotent`: the request may be sent again after it was sent. `deadline`: the seconds that all attempts may
        take, those at another service included; `fn` has to end within `instance.timeout_s`. `fallback`: another
        service for the same `fn`, or a function, for when all attempts failed; the rule of retries holds for it too. A
        function that needs an argument gets what it has to obey (FallbackLimits).
        `attempts`: the most requests that are sent. `depth`: of the request that this program serves itself, from
        `Gossipreg-Attempt`; None: as `load_middleware` says, which bounds the deadline too.

        Raises what the last attempt raised, or what `pick` raises, or DeadlineExceeded. `hedge` is for
        `gossipreg.aio`: a thread cannot be cancelled.
        """
        if hedge is True:
            raise BadParams("hedge=True needs calls that can be cancelled: use gossipreg.aio")
        options = self.call_options(idempotent, deadline, attempts, hedge, depth)
        check_text("key", key, "what the same requests have in common")
        check_callable("fn", fn, "a function that takes the picked instance")
        if isinstance(fallback, Service):
            other = fallback

            def fall_back(limits: FallbackLimits) -> T:
                return attempted(other.picker, fn, limits.options(options), key, keep)

        elif fallback is not None:
            check_callable("fallback", fallback, "a function, or a Service")
            function = of_limits(fallback)

            def fall_back(limits: FallbackLimits) -> T:
                with limits.obeyed():
                    result: T = function(limits)
                refuse_coroutine("fallback", fallback, result)
                return result

        return run_call(self.picker, fn, options, key, None if fallback is None else fall_back)

    def stats(self) -> dict[str, int | str]:
        """Every decision about requests so far, by name, and what is in flight and ejected now; see
        `docs/client.md`."""
        return self.picker.stats()

    @property
    def picker(self) -> Picker:
        """The picking core under the present settings."""
        choice, current = self._choice, self._current
        if current is None or current[0] is not choice:
            picker = self._pickers.get(choice)
            if picker is None:
                picker = self._pickers.setdefault(choice, self._make_picker(choice))
            self._current = current = choice, picker
        return current[1]

    @property
    def pickers(self) -> tuple[Picker, ...]:
        """The picking cores of all settings that requests were made under."""
        return tuple(self._pickers.values())

    def call_options(
        self, idempotent: bool, deadline: float, attempts: int, hedge: bool, depth: int | None
    ) -> CallOptions:  # fmt: skip
        """The request that this program serves bounds the deadline, and is the depth if that is None. Raises BadParams,
        and DeadlineExceeded if nobody waits for that request any more."""
        check_number("deadline", deadline, "the seconds that all attempts may take")
        check_count("attempts", attempts, "the most requests that are sent")
        served = INCOMING.get()
        if depth is None:
            depth = served.depth
        check_count("depth", depth, "the Gossipreg-Attempt of the request that this program serves")
        check_bool("idempotent", idempotent, "whether the request may be sent again after it was sent")
        check_bool("hedge", hedge, "whether a slow attempt gets a second one beside it")
        if served.deadline is not None and (left_s := served.deadline - monotonic()) < deadline:
            if left_s <= 0:
                raise DeadlineExceeded(f"{self.name} is not called: the caller of this program waits no longer")
            deadline = left_s
        try:
            return CallOptions(deadline, idempotent, attempts, hedge, depth)
        except ValueError as error:
            raise BadParams(str(error)) from None

    # -- for the registry's other parts --------------------------------------------------------------------------------

    def use(self) -> bool:
        """Have the sidecar watched for this name, soon. Returns False if that is not possible any more."""
        return use_feed(self._link, self.feed)

    def check(self) -> None:
        """A request to an instance has failed, perhaps since the sidecar stands still and does not say that it is gone:
        ask it for a sign of life. Without one in 2 s the snapshots are stale. It waits for nothing, and asks at most
        once in `CHECK_S`."""
        link, now = self._link, boot_clock()
        if link.check_at <= now and WATCHER.runs:
            link.check_at = now + CHECK_S
            WATCHER.do(link.check)

    def ready(self, wait_s: float) -> None:
        """Wait for the first snapshot, but no longer than a lookup does; raise as `snapshot` does."""
        snapshot = self.feed.snapshot
        if snapshot is None or snapshot.stale_since is not None:
            self._read(snapshot, min(wait_s, self.timeout_s))

    @property
    def is_answered(self) -> bool:
        """Whether the first lookup has not to wait any more."""
        return self.feed.snapshot is not None or self.is_refused

    @property
    def is_refused(self) -> bool:
        """Whether `raise_refused` raises."""
        return self.feed.refused is not None or self._link.closed or self._unclear is not None

    def has(self, count: int) -> bool:
        """Whether at least `count` instances pass, and the sidecar confirms them. Raises Refused."""
        self.raise_refused()
        return self.confirmed() >= count

    def confirmed(self) -> int:
        """How many instances pass and are not stale; 0 while no sidecar is followed that is believed in that."""
        known = self.known
        if known is None or not self._link.is_confirmed:
            return 0
        return sum(not one.stale for one in known.instances)

    def too_few(self, count: int, wait_s: float) -> NotSynced:
        """The error for a wait that was in vain."""
        if self.known is None:
            return self.not_synced(wait_s)
        after = f"after {wait_s:g} s" if WATCHER.may_wait else f"now; {WATCHER.why_no_wait}"
        why = "" if self._link.synced else f": {self._link.why_not_synced} (sidecar on {self._link.path})"
        return NotSynced(f"{self.confirmed()} of {count} instances of {self.name} pass {after}{why}")

    def not_synced(self, wait_s: float) -> NotSynced:
        if not WATCHER.may_wait:
            return NotSynced(f"nothing is known of {self.name} yet; {WATCHER.why_no_wait}")
        where = f"the sidecar on {self._link.path}" if self._link.path else "no sidecar"
        return NotSynced(f"no list of {self.name} came from {where} within {wait_s:g} s: {self._link.why_not_synced}")

    def raise_refused(self) -> None:
        """Raise Refused if the registry is closed, what the sidecar answered if it does not take this name, or
        ChooseSocket if nothing is known yet and several sidecars could be meant."""
        if (refused := self.feed.refused) is not None:
            raise type(refused)(str(refused))
        if self._link.closed:
            raise Refused(f"the registry that gave out {self.name} is closed: make another one with connect()")
        if (unclear := self._unclear) is not None:
            raise ChooseSocket(str(unclear))

    def on_change(self, call: Callable[[], object]) -> Callable[[], None]:
        """Have this called once, on the watcher's thread, at the next change; return what cancels that."""
        return self.feed.waiters.on_change(call)

    # ------------------------------------------------------------------------------------------------------------------

    @property
    def _unclear(self) -> ChooseSocket | None:
        return self._link.unclear if self.feed.snapshot is None and WATCHER.runs else None

    def _make_picker(self, choice: PolicyChoice) -> Picker:
        registry, callers = self.registry, None
        caller = choice.caller or self._settings.caller
        if caller is not None:
            feed = self._link.feed(caller)
            use_feed(self._link, feed)

            def callers() -> Snapshot | None:
                return feed.snapshot

        return Picker(self, lambda: PickOptions(choice.policy, choice.panic, getattr(registry, "zone", "")), callers)

    def _read(self, snapshot: Snapshot | None, wait_s: float) -> Snapshot:
        """What is known although it may be stale; the long way of a lookup, which waits at most so long."""
        if snapshot is None or self._link.closed:  # what is known stays, if the sidecar has no room to watch more
            self.raise_refused()
        self.use()
        if snapshot is None:
            self._wait(lambda: self.is_answered, wait_s)
            self.raise_refused()
            snapshot = self.feed.snapshot
            if snapshot is None:
                raise self.not_synced(wait_s)
        max_s = self._settings.max_stale_s
        if max_s is not None and snapshot.stale_s > max_s:
            raise TooStale(
                f"what is known of {self.name} is {snapshot.stale_s:.0f} s old, and max_stale is {max_s:g} s: "
                f"{self._link.why_not_synced} (sidecar on {self._link.path})"
            )
        return snapshot

    def _wait(self, ready: Callable[[], bool], wait_s: float) -> bool:
        if ready() or not WATCHER.may_wait:
            return ready()
        return wait_until(self.feed.waiters, ready, monotonic() + wait_s, self.use)

    def _match(self, snapshot: Snapshot) -> Snapshot:
        if self._all:
            return snapshot
        matched = self._matched
        if matched is None or matched[0] is not snapshot:
            matched = self._matched = snapshot, matching(snapshot, self.tags, self.zone)
        return matched[1]

    def __repr__(self) -> str:
        only = f" with {', '.join(sorted(self.tags))}" if self.tags else ""
        only += f" in {self.zone}" if self.zone is not None else ""
        known = self.known
        return f"<Service {self.name}{only}: {'not known yet' if known is None else repr(known)}>"


def use_feed(link: SidecarLink, feed: ServiceFeed) -> bool:
    if feed in link.wanted:
        return WATCHER.wake() if not WATCHER.runs else True
    return WATCHER.do(lambda now: link.want(feed, now))
