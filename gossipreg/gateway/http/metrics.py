"""The counters of a sidecar in Prometheus's text format (version 0.0.4).

Owns the names, types and labels. A counter of the core that has no line here is shown all the same, as
`gossipreg_core_total{event=...}`, so that nothing new is lost.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gossipreg.model import CatalogInstance, Health, MemberInfo

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RTT_QUANTILES = (0.0, 0.5, 0.9, 1.0)

Sample = tuple[str, Mapping[str, str], float]

_GAUGES = {
    "health_score": (
        "gossipreg_health_score",
        "Local health score (Lifeguard): 0 is healthy; timeouts are multiplied by 1 + score",
    ),
    "uptime_s": ("gossipreg_uptime_seconds", "Time since the sidecar was started"),
    "services": ("gossipreg_services", "Names of services known"),
    "out": ("gossipreg_out", "Whether flap damping delays its return: others have declared it dead repeatedly"),
}
_STATES = {
    "synced": "Whether this sidecar is synced with the cluster",
    "alone": "Whether this sidecar is isolated: it receives nothing from other members",
}
_COUNTER_GAUGES = {
    "rows": ("gossipreg_table_rows", "Rows in the table, dead ones included"),
    "table_bytes": ("gossipreg_table_bytes", "Size of the table's content"),
    "lost": ("gossipreg_lost_members", "Dead members and seeds that are greeted until they answer"),
    "lossy_pairs": (
        "gossipreg_lossy_pairs",
        "Members that others reach, while datagrams between them and this sidecar are lost",
    ),
    "timers": ("gossipreg_timers", "Timers that wait in the core"),
    "unreceipted": ("gossipreg_queue_unreceipted", "Queued updates that neighbours have not acked yet"),
    "heard_s": ("gossipreg_heard_seconds", "Time since a datagram of another member arrived"),
    "loop_lag_s": ("gossipreg_core_lag_seconds", "How late the last timer of the core fired"),
    "checks": ("gossipreg_checks", "Health checks of services registered here"),
    "checks_running": ("gossipreg_checks_running", "Health checks that run now"),
    "checks_waiting": ("gossipreg_queue_checks", "Health checks that are due and wait for a free slot"),
    "tasks": ("gossipreg_tasks", "Tasks on the event loop"),
    "watches": ("gossipreg_watches", "Watches of the local socket's clients"),
    "clients": ("gossipreg_clients", "Clients connected to the local socket"),
    "streams": ("gossipreg_streams", "Streams to other members that are open"),
    "streams_opening": ("gossipreg_streams_opening", "Streams that are being opened"),
    "streams_half_open": ("gossipreg_streams_half_open", "Connections to the gossip port in their handshake"),
    "streams_failed": ("gossipreg_streams_failed", "Members to which the last attempt to open a stream failed"),
    "streams_held_bytes": ("gossipreg_streams_held_bytes", "Messages of streams that have come in part"),
    "journals": ("gossipreg_journals", "Journals of which a copy is here"),
    "journals_led": ("gossipreg_journals_led", "Journals that are led here"),
    "journals_behind": ("gossipreg_journals_behind", "Journals led here of which a copy lacks entries"),
    "journals_out": ("gossipreg_journals_out", "Copies of journals that take no part: the disk failed"),
    "journal_bytes": ("gossipreg_journal_bytes", "Disk space of the copies of journals here"),
    "events_publishing": ("gossipreg_queue_publishes", "Events that wait to be durable, of programs here"),
    "events_subscriptions": ("gossipreg_subscriptions", "Subscriptions of programs here"),
    "events_handlings": ("gossipreg_handlings", "Events that programs here handle now, or that wait for their key"),
    "events_handlings_bytes": ("gossipreg_handlings_bytes", "Size of these events"),
    "sagas_running": ("gossipreg_sagas_running", "Sagas of journals led here that are not decided"),
    "sagas_undoing": ("gossipreg_sagas_undoing", "Aborted sagas of journals led here that are not undone yet"),
    "sagas_finishing": ("gossipreg_sagas_finishing", "Committed sagas led here of which something is still to be done"),
    "sagas_stuck": ("gossipreg_sagas_stuck", "Sagas of journals led here that a person has to look at"),
    "sagas_commands": ("gossipreg_saga_commands", "Commands of sagas that are under way from here"),
    "sagas_programs": ("gossipreg_saga_programs", "Sagas whose program is connected here"),
    "sagas_calls": ("gossipreg_queue_saga_calls", "Calls of programs here about sagas that have no answer yet"),
    "xds_connections": ("gossipreg_xds_connections", "Connections of gRPC clients and Envoys that are open"),
    "xds_streams": ("gossipreg_xds_streams", "Streams of these clients that are open"),
    "spans_waiting": ("gossipreg_queue_spans", "Spans that wait for the collector of --otlp"),
    "journal_writes_waiting": ("gossipreg_queue_journal_writes", "Writes of journals that wait for the disk"),
}
_COUNTERS = {
    "probes": ("gossipreg_probes_total", "Probes sent"),
    "suspicions": ("gossipreg_suspicions_total", "Suspicions: members that did not ack a probe in time"),
    "suspicions_cleared": ("gossipreg_suspicions_cleared_total", "Suspicions that an ack ended"),
    "verdicts": ("gossipreg_verdicts_total", "Members declared dead by this sidecar"),
    "refutations": ("gossipreg_refutations_total", "Suspicions and deaths of this sidecar that it refuted"),
    "rumours_repeated": ("gossipreg_rumours_repeated_total", "Updates retransmitted because no ack came"),
    "rumours_unreceipted": ("gossipreg_rumours_unreceipted_total", "Updates that were never acked"),
    "comparisons": ("gossipreg_comparisons_total", "Comparisons of tables begun"),
    "pulls": ("gossipreg_pulls_total", "Rows requested from other members"),
    "spans_exported": ("gossipreg_spans_exported_total", "Spans that the collector of --otlp has taken"),
    "checks_run": ("gossipreg_checks_run_total", "Health checks run"),
    "lookups": ("gossipreg_lookups_total", "Lookups through the local socket"),
    "sent.datagrams": ("gossipreg_sent_datagrams_total", "Datagrams sent"),
    "sent.bytes": ("gossipreg_sent_bytes_total", "Bytes sent, UDP payload"),
    "received.datagrams": ("gossipreg_received_datagrams_total", "Datagrams received, whatever was in them"),
    "received.bytes": ("gossipreg_received_bytes_total", "Bytes received, UDP payload"),
    "sent.withheld": (
        "gossipreg_sent_withheld_total",
        "Datagrams not sent, because the address of their receiver was not proven",
    ),
    "sent.throttled": ("gossipreg_sent_throttled_total", "Messages delayed by the send budget"),
}
_LAGS = {
    "pending": ("gossipreg_group_pending", "Events that a group has not acknowledged, in journals led here"),
    "bytes": ("gossipreg_group_pending_bytes", "Size of these events"),
    "oldest_s": ("gossipreg_group_oldest_seconds", "The age of the oldest of these events, in led time"),
    "unanswered": ("gossipreg_group_unanswered", "How many of these events are at a handler"),
    "dead": ("gossipreg_group_dead_letters", "Dead letters of a group, in journals led here"),
}
"""Of each group of events."""
_FAMILIES = {
    "drop.": ("gossipreg_drops_total", "reason", "What was dropped, by reason"),
    "sent.": ("gossipreg_sent_messages_total", "kind", "Messages sent, by kind"),
    "sent_bytes.": ("gossipreg_sent_messages_bytes_total", "kind", "Bytes of messages sent, by kind, before sealing"),
    "bug.": ("gossipreg_bugs_total", "where", "Failures inside the sidecar: see the log, and report them"),
    "dns.": ("gossipreg_dns_total", "event", "The DNS gateway's counters"),
    "xds.": ("gossipreg_xds_total", "event", "The xDS gateway's counters"),
    "http.": ("gossipreg_http_total", "event", "The HTTP gateway's counters"),
    "streams.": ("gossipreg_streams_total", "event", "Streams opened, not opened and ended, by reason"),
    "events.": ("gossipreg_events_total", "event", "Events published, delivered, acknowledged, set aside"),
    "sagas.": ("gossipreg_sagas_total", "event", "Sagas begun, decided, ended; attempts; what was stuck"),
    "journal.": ("gossipreg_journal_total", "event", "The journals' counters"),
    "table.": ("gossipreg_table_total", "event", "What the table refused or removed"),
    "": ("gossipreg_core_total", "event", "Other counters"),
}


def metrics_text(info: Mapping[str, Any], members: Iterable[MemberInfo], instances: Iterable[CatalogInstance],
                 own: Mapping[str, float]) -> str:  # fmt: skip
    """`info` is what `gossipreg info` says; `own` are gauges of this gateway, by name."""
    lines: list[str] = []
    for name, kind, text, samples in _families(info, list(members), list(instances), own):
        lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
        lines += [f"{metric}{_labels(labels)} {value:.16g}" for metric, labels, value in samples]
    return "\n".join(lines) + "\n"


def _families(info: Mapping[str, Any], members: list[MemberInfo], instances: list[CatalogInstance],
              own: Mapping[str, float]) -> Iterator[tuple[str, str, str, list[Sample]]]:  # fmt: skip
    about = {key: str(info[key]) for key in ("version", "id", "name", "cluster")}
    yield _one("gossipreg_info", "gauge", "Identity of this sidecar, as labels", [(about, 1)])
    states = [({"state": state}, count) for state, count in info["members"].items()]
    yield _one("gossipreg_members", "gauge", "Members by state", states)
    healths = dict.fromkeys(Health, 0)
    for instance in instances:
        healths[instance.health] += 1
    shown = [({"health": health.name.lower()}, count) for health, count in healths.items()]
    yield _one("gossipreg_instances", "gauge", "Instances of services by health", shown)
    yield _round_trips(members)
    for key, text in _STATES.items():
        yield _one(f"gossipreg_{key}", "gauge", text, [({}, int(info[key]))])
    for key, (name, text) in _GAUGES.items():
        yield _one(name, "gauge", text, [({}, float(info[key]))])
    yield _one("gossipreg_loop_lag_seconds", "gauge", "The longest recent delay of the event loop",
               [({}, info["loop_lag_ms"] / 1000)])  # fmt: skip
    for key, value in own.items():
        yield _one(f"gossipreg_http_{key}", "gauge", "A figure of the HTTP gateway", [({}, value)])
    if groups := info.get("events", {}).get("groups"):
        for key, (name, text) in _LAGS.items():
            yield _one(name, "gauge", text, [({"group": group}, lag[key]) for group, lag in groups.items()])
    yield from _counted(info["counters"])


def _counted(counters: Mapping[str, Any]) -> Iterator[tuple[str, str, str, list[Sample]]]:
    families: dict[str, list[tuple[Mapping[str, str], float]]] = {}
    for key, value in counters.items():
        if not isinstance(value, int | float):
            continue
        if key in _COUNTER_GAUGES:
            yield _one(_COUNTER_GAUGES[key][0], "gauge", _COUNTER_GAUGES[key][1], [({}, value)])
        elif key not in _COUNTERS:
            prefix = next(prefix for prefix in _FAMILIES if key.startswith(prefix))
            label = {_FAMILIES[prefix][1]: key.removeprefix(prefix)}
            families.setdefault(prefix, []).append((label, value))
    for key, (name, text) in _COUNTERS.items():  # zeros too: a graph needs a first value
        yield _one(name, "counter", text, [({}, counters.get(key, 0))])
    for prefix, samples in families.items():
        name, _, text = _FAMILIES[prefix]
        yield _one(name, "counter", text, samples)


def _round_trips(members: list[MemberInfo]) -> tuple[str, str, str, list[Sample]]:
    rtts = sorted(one.rtt_ms / 1000 for one in members if one.rtt_ms)
    name = "gossipreg_rtt_seconds"
    samples: list[Sample] = [
        (name, {"quantile": f"{q:g}"}, rtts[round(q * (len(rtts) - 1))]) for q in RTT_QUANTILES if rtts
    ]
    samples += [(f"{name}_sum", {}, sum(rtts)), (f"{name}_count", {}, len(rtts))]
    return name, "summary", "Smoothed round trips to the members that were measured", samples


def _one(name: str, kind: str, text: str, samples: Sequence[tuple[Mapping[str, str], float]],
         ) -> tuple[str, str, str, list[Sample]]:  # fmt: skip
    return name, kind, text, [(name, labels, value) for labels, value in samples]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
