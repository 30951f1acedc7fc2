"""The names of all metrics, with their types, labels and HELP lines. They stay for ever: dashboards and alerts have
them.

Owns the names. Never knows the values; `metrics.py` does. `python -m scripts.metrics_table` writes docs/metrics.md.
"""

from dataclasses import dataclass

RTT_QUANTILES = (0.0, 0.5, 0.9, 1.0)


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: str
    """`gauge`, `counter` or `summary`."""
    text: str
    labels: tuple[str, ...] = ()


INFO = Metric("gossipreg_info", "gauge", "Identity of this sidecar, as labels", ("version", "id", "name", "cluster"))
MEMBERS = Metric("gossipreg_members", "gauge", "Members by state", ("state",))
INSTANCES = Metric("gossipreg_instances", "gauge", "Instances of services by health", ("health",))
UNAVAILABLE = Metric(
    "gossipreg_services_unavailable", "gauge",
    "Names of services without a passing instance, those of dead members included",
)  # fmt: skip
ROUND_TRIPS = Metric(
    "gossipreg_rtt_seconds", "summary", "Smoothed round trips to the members that were measured", ("quantile",)
)
LOOP_LAG = Metric("gossipreg_loop_lag_seconds", "gauge", "The longest recent delay of the event loop")
TROUBLES = Metric("gossipreg_troubles", "gauge", "Troubles that `gossipreg info` shows now")

GAUGES = {
    "health_score": (
        "gossipreg_health_score",
        "Local health score (Lifeguard): 0 is healthy; timeouts are multiplied by 1 + score",
    ),
    "uptime_s": ("gossipreg_uptime_seconds", "Time since the sidecar was started"),
    "services": ("gossipreg_services", "Names of services known"),
    "out": ("gossipreg_out", "Whether flap damping delays its return: others have declared it dead repeatedly"),
}
STATES = {
    "synced": "Whether this sidecar is synced with the cluster",
    "alone": "Whether this sidecar is isolated: it receives nothing from other members",
}
COUNTER_GAUGES = {
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
    "streams_broken": ("gossipreg_streams_broken", "Members that may hold a stream for open that broke here"),
    "streams_held_bytes": ("gossipreg_streams_held_bytes", "Messages of streams that have come in part"),
    "journals": ("gossipreg_journals", "Journals that have a copy here"),
    "journals_led": ("gossipreg_journals_led", "Journals that are led here"),
    "journals_behind": ("gossipreg_journals_behind", "Journals led here that have a copy without all entries"),
    "journals_leaderless": (
        "gossipreg_journals_leaderless",
        "Journals with a copy here that nobody has led for a minute",
    ),
    "journals_orphaned": ("gossipreg_journals_orphaned", "Journals led here whose owner is away for long"),
    "journal_fill_percent": ("gossipreg_journal_fill_percent", "How full the fullest journal is that is led here"),
    "journals_out": ("gossipreg_journals_out", "Copies of journals that take no part: the disk failed"),
    "journal_bytes": ("gossipreg_journal_bytes", "Disk space of the copies of journals here"),
    "events_publishing": ("gossipreg_queue_publishes", "Events that wait to be durable, of programs here"),
    "events_subscriptions": ("gossipreg_subscriptions", "Subscriptions of programs here"),
    "events_handlings": ("gossipreg_handlings", "Events that programs here handle now, or that wait for their key"),
    "events_handlings_bytes": ("gossipreg_handlings_bytes", "Size of these events"),
    "sagas_running": ("gossipreg_sagas_running", "Sagas of journals led here that are not decided"),
    "sagas_undoing": ("gossipreg_sagas_undoing", "Aborted sagas of journals led here that are not undone yet"),
    "sagas_finishing": ("gossipreg_sagas_finishing", "Committed sagas led here that still have something to do"),
    "sagas_stuck": ("gossipreg_sagas_stuck", "Sagas of journals led here that a person has to look at"),
    "sagas_commands": ("gossipreg_saga_commands", "Commands of sagas that are under way from here"),
    "sagas_programs": ("gossipreg_saga_programs", "Sagas whose program is connected here"),
    "sagas_calls": ("gossipreg_queue_saga_calls", "Calls of programs here about sagas that have no answer yet"),
    "xds_connections": ("gossipreg_xds_connections", "Connections of gRPC clients and Envoys that are open"),
    "xds_streams": ("gossipreg_xds_streams", "Streams of these clients that are open"),
    "history_waiting": ("gossipreg_queue_history", "Lines of the history that wait for the disk"),
    "spans_waiting": ("gossipreg_queue_spans", "Spans that wait for the collector of --otlp"),
    "journal_writes_waiting": ("gossipreg_queue_journal_writes", "Writes of journals that wait for the disk"),
}
COUNTERS = {
    "probes": ("gossipreg_probes_total", "Probes sent"),
    "suspicions": ("gossipreg_suspicions_total", "Suspicions: members that did not ack a probe in time"),
    "suspicions_cleared": ("gossipreg_suspicions_cleared_total", "Suspicions that an ack ended"),
    "verdicts": ("gossipreg_verdicts_total", "Members declared dead by this sidecar"),
    "refutations": ("gossipreg_refutations_total", "Suspicions and deaths of this sidecar that it refuted"),
    "rumours_repeated": ("gossipreg_rumours_repeated_total", "Updates retransmitted because no ack came"),
    "rumours_unreceipted": ("gossipreg_rumours_unreceipted_total", "Updates that were never acked"),
    "comparisons": ("gossipreg_comparisons_total", "Comparisons of tables begun"),
    "pulls": ("gossipreg_pulls_total", "Rows requested from other members"),
    "history_lines": ("gossipreg_history_lines_total", "Lines of the history"),
    "history_lost": ("gossipreg_history_lost_total", "Lines of the history that the disk did not take in time"),
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
LAGS = {
    "pending": ("gossipreg_group_pending", "Events that a group has not acknowledged, in journals led here"),
    "bytes": ("gossipreg_group_pending_bytes", "Size of these events"),
    "oldest_s": ("gossipreg_group_oldest_seconds", "The age of the oldest of these events, in led time"),
    "unanswered": ("gossipreg_group_unanswered", "How many of these events are at a handler"),
    "dead": ("gossipreg_group_dead_letters", "Dead letters of a group, in journals led here"),
}
"""Of each group of events."""
FAMILIES = {
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

HTTP_GAUGES = {
    "connections": "Connections of HTTP clients that are open",
    "waiting": "Reads that wait for a change (blocking queries)",
    "woken": "Reads that a change has woken, and that have no answer yet",
    "event_streams": "Clients that follow `/events`",
    "page_streams": "Browsers that follow the page",
}
"""Figures of the HTTP gateway, as `gossipreg_http_NAME`."""


def http_gauge(key: str) -> Metric:
    return Metric(f"gossipreg_http_{key}", "gauge", HTTP_GAUGES.get(key, "A figure of the HTTP gateway"))


def all_metrics() -> list[Metric]:
    """Sorted by name."""
    found = [INFO, MEMBERS, INSTANCES, UNAVAILABLE, ROUND_TRIPS, LOOP_LAG, TROUBLES, *map(http_gauge, HTTP_GAUGES)]
    found += [Metric(f"gossipreg_{key}", "gauge", text) for key, text in STATES.items()]
    found += [Metric(name, "gauge", text) for name, text in (GAUGES | COUNTER_GAUGES).values()]
    found += [Metric(name, "gauge", text, ("group",)) for name, text in LAGS.values()]
    found += [Metric(name, "counter", text) for name, text in COUNTERS.values()]
    found += [Metric(name, "counter", text, (label,)) for name, label, text in FAMILIES.values()]
    return sorted(found, key=lambda metric: metric.name)
