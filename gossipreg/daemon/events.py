"""What the core reports, as log lines that a person understands; repeated troubles at most once a minute each."""

from gossipreg.core.effects import Event
from gossipreg.daemon.logs import Field, Log

LEVELS = {
    "member_suspect": "debug",
    "member_dead": "warning",
    "refuted": "warning",
    "alone": "warning",
    "wrong_cluster": "warning",
    "not_our_key": "warning",
    "key_needed": "warning",
    "seed_silent": "warning",
    "seed_unusable": "warning",
    "duplicate_identity": "error",
    "table_full": "error",
    "stalled": "warning",
}
"""Of the kinds that are not `info`."""
RARELY = frozenset(
    (
        "wrong_cluster",
        "not_our_key",
        "key_needed",
        "seed_silent",
        "duplicate_identity",
        "table_full",
        "stalled",
        "refuted",
    )
)
"""Kinds that may come with each datagram or timer: one line a minute for each kind and address."""


def log_event(log: Log, event: Event, *, cluster: str) -> None:
    """`cluster` is ours."""
    fields: dict[str, Field] = {name: value for name, value in event.fields if value != ""}
    message = _in_words(event.kind, fields, cluster)
    if message:
        fields["message"] = message
    repeat_key = f"{event.kind} {fields.get('address', '')}" if event.kind in RARELY else None
    log.line(LEVELS.get(event.kind, "info"), event.kind, fields, repeat_key=repeat_key)


def _in_words(kind: str, fields: dict[str, Field], cluster: str) -> str:
    address = fields.get("address")
    match kind:
        case "wrong_cluster":
            theirs = fields.get("cluster")
            return f"answered by cluster '{theirs}', not '{cluster}': check --cluster or the seed {address}"
        case "not_our_key":
            return f"{address} does not accept our key: check --key-file"
        case "key_needed":
            return f"{address} speaks with a key only: give --key-file"
        case "seed_silent":
            return f"no answer from the seed {address} yet: trying again"
        case "seed_unusable":
            return f"the seed {address} cannot be reached from here: bind to an address of its family"
        case "duplicate_identity":
            other = f"the sidecar at {address}" if address else "another sidecar"
            return f"{other} runs with a copy of this one's data directory: give each its own --data-dir"
        case "alone":
            return "no other member is heard: answers are what was last known"
        case "stalled":
            return "this sidecar was not run for a while: the machine slept or is overloaded"
        case "table_full":
            return "a limit of the table is reached: new members or services are refused"
    return ""
