"""The events of the core as lines of the log, in words for people; a repeated trouble at most once a minute."""

from gossipreg.core.effects import Event
from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.lossy_pairs import lossy_pair_in_words
from gossipreg.daemon.narrow_paths import ADVICE, path_in_words, whom

LEVELS = {
    "member_suspect": "debug",
    "member_dead": "warning",
    "refuted": "warning",
    "alone": "warning",
    "last_known_over": "warning",
    "wrong_cluster": "warning",
    "incompatible_version": "warning",
    "not_our_key": "warning",
    "key_needed": "warning",
    "seed_silent": "warning",
    "seed_unusable": "warning",
    "duplicate_identity": "error",
    "table_full": "error",
    "stalled": "warning",
    "out": "warning",
    "pair_lossy": "warning",
    "path_mtu": "warning",
    "pull_failed": "warning",
}
"""The levels of the kinds that are not `info`."""
RARELY = frozenset(
    (
        "wrong_cluster",
        "incompatible_version",
        "not_our_key",
        "key_needed",
        "seed_silent",
        "duplicate_identity",
        "table_full",
        "stalled",
        "refuted",
        "path_mtu",
        "pull_failed",
    )
)
"""Kinds that may come with each datagram or timer: one line a minute for each kind and address."""

KIND_BURSTS = {
    "path_mtu": 16,
    "path_mtu_over": 16,
    "pull_failed": 16,
    "pull_failed_over": 16,
    "incompatible_version": 16,
    "incompatible_version_over": 16,
}
"""Lines a minute for kinds of events that may come for every member at once."""

OF_OTHERS = frozenset(("member_hidden", "member_dead", "member_suspect", "alone"))


def log_event(log: Log, event: Event, *, cluster: str, leaving: bool = False) -> None:
    """Write the event; `cluster` is ours. While this sidecar is leaving, events about others are for debugging only:
    they may be leaving too."""
    fields: dict[str, Field] = {name: value for name, value in event.fields if value != ""}
    if message := in_words(event, cluster=cluster):
        fields["message"] = message
    repeat_key = f"{event.kind} {fields.get('address', '')}" if event.kind in RARELY else None
    level = "debug" if leaving and event.kind in OF_OTHERS else LEVELS.get(event.kind, "info")
    kind_burst = KIND_BURSTS.get(event.kind, 0)
    log.line(level, event.kind, fields, repeat_key=repeat_key, kind_burst=kind_burst)


def in_words(event: Event, *, cluster: str) -> str:
    """The meaning of an event and what to do, for kinds that do not say so themselves."""
    fields = dict(event.fields)
    address = fields.get("address")
    match event.kind:
        case "wrong_cluster":
            theirs = fields.get("cluster")
            return f"{address} belongs to cluster '{theirs}', not '{cluster}': check --cluster and the seeds"
        case "incompatible_version":
            theirs, ours, other = fields["theirs"], fields["ours"], whom(fields)
            upgrade = other if fields["older"] == "there" else "this sidecar"
            return f"{other} speaks version {theirs} of the protocol, this sidecar {ours}: upgrade {upgrade}"
        case "not_our_key":
            return f"{address} does not accept the key of this sidecar: check --key-file here and there"
        case "key_needed":
            return f"{address} accepts only datagrams that are sealed with a key: give --key-file"
        case "seed_silent":
            return f"no answer from the seed {address} yet; trying again: check that it runs, and the firewalls for UDP"
        case "understood":
            return f"{address} answers now"
        case "own_seed":
            return f"the seed {address} is this sidecar itself, so it is the first member of its cluster"
        case "seed_unusable":
            return f"the seed {address} cannot be reached from the bound addresses: choose a --bind of its family"
        case "duplicate_identity":
            other = f"the sidecar at {address}" if address else "another sidecar"
            return f"{other} runs with a copy of the data directory of this sidecar: give each its own --data-dir"
        case "alone":
            return "isolated: nothing arrives from any other member; check this host's network and its seeds"
        case "last_known":
            return "not synced yet; answers come from the table of the last run, marked stale"
        case "last_known_over":
            return "not synced, and the table of the last run is too old; answers contain only what is registered here"
        case "out":
            wait_s = fields.get("wait_s")
            return f"declared dead repeatedly because this host's own link fails; rejoining in {wait_s:g} s"
        case "stalled":
            late = f"{fields.get('late_s'):g} s"  # it did not run before its timer was due either, for at most a second
            return f"this sidecar did not run for at least {late}: the machine slept, is overloaded, or it was stopped"
        case "pair_lossy":
            return lossy_pair_in_words(fields)
        case "pair_lossy_over":
            return f"datagrams pass both ways between {whom(fields)} and this sidecar again"
        case "path_mtu":
            return path_in_words(fields)
        case "path_mtu_over":
            if fields.get("reason") == "gone":
                return f"{whom(fields)} is gone or has another address, so nothing is sent there any more"
            return f"large datagrams to {whom(fields)} arrive again"
        case "pull_failed_over":
            return f"rows requested from {whom(fields)} arrive again"
        case "pull_failed":
            return f"{whom(fields)} answers, but rows requested from it do not arrive: {ADVICE} from there"
        case "table_full":
            return "the table is full; new members or services are refused: see `gossipreg docs limits`"
        case "table_full_over":
            return "there is room in the table again: what was refused is taken when its member is compared next"
    return ""
