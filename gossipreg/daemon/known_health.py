"""The health of checks over a restart of the sidecar: what was known, since when, and whether it still counts.

Owns the rule. The health that an earlier process knew counts if it was found in this boot of the machine, no clock has
gone back since, and

    it is not older than one interval of the check (for a ttl check: than its ttl), or
    the restart was announced with a hold (`leave --hold`), and the hold is not over.

Any other health is ignored: the check begins critical and runs at once. So a restart of the sidecar alone changes no
answer, and a machine that comes back after a power cut gives out no service before its checks have run.

The time of a check's last result is written at most once a second, and less often for frequent checks. A time that is
too old makes the check run before its service is given out; one that is too young would give out a dead service.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache, partial

import trio

from gossipreg.blake2 import blake2b
from gossipreg.daemon.checks.spec import CheckSpec, check_ids
from gossipreg.daemon.checks.state import CheckStatus, Restored
from gossipreg.daemon.clock import boot_s, wall_ms
from gossipreg.daemon.kept import Hold, KeptHealth, Moment, Statement, drop_healths, drop_hold, keep_health, keep_hold
from gossipreg.daemon.store import Store
from gossipreg.model import Health

WRITE_EVERY_S = 1.0
RUN_LAG_S = 5.0
"""Results of a check that runs more often than this are written this often."""
TTL_LAG = 0.1
"""Heartbeats are written when the one on the disk is older than this part of the ttl, and than WRITE_EVERY_S."""

Statuses = Callable[[str], Sequence[CheckStatus]]


def moment_now() -> Moment:
    return Moment(wall_ms(), boot_s(), boot_id())


@cache
def boot_id() -> str:
    """The kernel's name of this boot; empty where it has none (not Linux)."""
    with suppress(OSError), open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()
    return ""


def age_s(then: Moment, now: Moment) -> float | None:
    """The time since then; None if it cannot be known, because the machine was booted or a clock went back."""
    by_wall, by_boot = (now.wall_ms - then.wall_ms) / 1000, now.boot_s - then.boot_s
    if then.boot_id != now.boot_id or by_wall < 0 or by_boot < 0:
        return None
    return max(by_wall, by_boot)


def check_keys(service_id: str, specs: Sequence[CheckSpec]) -> list[bytes]:
    """A key for each check, made from its question: the result of another question says nothing about this one. All ttl
    checks ask the same question, so their ids tell them apart."""
    ids = check_ids(service_id, specs)
    named = [(spec.asked, id if spec.kind == "ttl" else "") for spec, id in zip(specs, ids, strict=True)]
    return [blake2b(repr(one).encode(errors="surrogatepass"), digest_size=16).digest() for one in named]


class KnownHealth:
    def __init__(self, store: Store, statuses: Statuses, now: Callable[[], Moment] = moment_now) -> None:
        """`statuses` of the checks of a service, by its id."""
        self._store = store
        self._statuses = statuses
        self._now = now
        self._kept: dict[str, dict[bytes, KeptHealth]] = {}
        """From before this start, by service. A service that is attached to a program is registered again only when the
        program has found this sidecar."""
        self._hold: Hold | None = None
        self._heard: dict[str, dict[bytes, Moment]] = {}
        """When a check gave its last result, by service."""
        self._written: dict[str, dict[bytes, Moment]] = {}
        self._due: set[str] = set()
        self._wake = trio.Event()

    # -- at the start ------------------------------------------------------------------------------------------------

    def start(self, kept: Sequence[KeptHealth], hold: Hold | None) -> None:
        """Take over what the data directory has."""
        for one in kept:
            self._kept.setdefault(one.service, {})[one.key] = one
        self._hold = hold
        if hold is not None:
            self._store.commit_later("hold", lambda: [drop_hold()])

    def started(self) -> None:
        """All services of the start are registered: what is known of others is not written again."""
        for id in self._kept:
            self.changed(id)

    def knows(self, id: str) -> bool:
        """Whether a health was kept of the service, and it was not deregistered since."""
        return id in self._kept

    def restored(self, id: str, specs: Sequence[CheckSpec]) -> list[Restored | None]:
        """The kept state of each check of the service; None for a check whose state does not count."""
        kept = self._kept.get(id, {})
        return [self._restored(id, spec, kept.get(key)) for spec, key in zip(specs, check_keys(id, specs), strict=True)]

    def _restored(self, id: str, spec: CheckSpec, kept: KeptHealth | None) -> Restored | None:
        now = self._now()
        age = None if kept is None else age_s(kept.known, now)
        if kept is None or age is None:
            return None
        held = None if self._hold is None else age_s(self._hold.since, now)
        hold_s = 0.0 if self._hold is None or held is None else self._hold.hold_s - held
        if age > spec.interval_s and hold_s <= 0:
            return None
        self._heard.setdefault(id, {})[kept.key] = kept.known
        return Restored(kept.health, age, left_s=max(spec.interval_s - age, hold_s))

    # -- while it runs -----------------------------------------------------------------------------------------------

    def spoke(self, id: str, check: int) -> None:
        """Take note that the check with this number gave a result, or had a heartbeat."""
        specs = [status.spec for status in self._statuses(id)]
        if check < len(specs):
            key, spec, now = check_keys(id, specs)[check], specs[check], self._now()
            self._heard.setdefault(id, {})[key] = now
            lag_s = max(WRITE_EVERY_S, TTL_LAG * spec.interval_s) if spec.kind == "ttl" else RUN_LAG_S
            written = self._written.get(id, {}).get(key)
            if written is None or now.boot_s - written.boot_s >= lag_s:
                self._due.add(id)
                self._wake.set()

    def stated(self, id: str, specs: Sequence[CheckSpec], said: Mapping[str, Health]) -> list[Statement]:
        """The statements that write the health that `said` gives to new checks, by id. It counts like a result, and is
        written with the registration."""
        known = check_keys(id, [status.spec for status in self._statuses(id)])
        stated = [
            KeptHealth(id, key, said[check_id], self._now())
            for check_id, key in zip(check_ids(id, specs), check_keys(id, specs), strict=True)
            if check_id in said and key not in known
        ]
        self._heard.setdefault(id, {}).update((one.key, one.known) for one in stated)
        return [keep_health(one) for one in stated]

    def changed(self, id: str) -> None:
        """Write soon: the health of the service or its checks changed."""
        self._store.commit_later(f"health {id}", partial(self.statements, id))

    def forget(self, id: str) -> None:
        """The service was deregistered."""
        self._kept.pop(id, None)
        self._heard.pop(id, None)
        self._written.pop(id, None)
        self._due.discard(id)
        self._store.commit_later(f"health {id}", lambda: [drop_healths(id)])

    def settle(self, hold_s: float) -> None:
        """Write all that is known by now: this sidecar leaves, and will be back within `hold_s` if that is above 0."""
        for id in self._heard:
            self.changed(id)
        if hold_s > 0:
            hold = Hold(self._now(), hold_s)
            self._store.commit_later("hold", lambda: [drop_hold(), keep_hold(hold)])

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            await trio.sleep(WRITE_EVERY_S)
            self._wake = trio.Event()
            for id in self.take_due():
                self.changed(id)

    def take_due(self) -> set[str]:
        """The services whose results must be written now."""
        due, self._due = self._due, set()
        return due

    def statements(self, id: str) -> list[Statement]:
        """Write what is known of the checks of a service by now."""
        statuses, heard = self._statuses(id), self._heard.get(id, {})
        keys = check_keys(id, [status.spec for status in statuses])
        found = {
            key: KeptHealth(id, key, status.health, heard[key])
            for key, status in zip(keys, statuses, strict=True)
            if key in heard
        }
        self._heard[id] = {key: heard[key] for key in found}
        self._written[id] = dict(self._heard[id])
        if not found:
            del self._heard[id], self._written[id]
        return [drop_healths(id), *map(keep_health, found.values())]
