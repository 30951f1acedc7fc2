"""A made-up cluster in the shapes that the sidecar sends, of any size, with something of everything that goes wrong."""

from typing import Any

from tests.ui.fake_sidecar import Events, FakeSidecar

Shape = dict[str, Any]
NOW = 1_780_000_000.0
ZONES = ("eu-north-1a", "eu-north-1b", "eu-north-1c", "us-east-2a", "us-east-2b")
VERSIONS = ("0.2.0", "0.2.0", "0.2.0", "0.1.4")


def member_id(number: int) -> str:
    return f"{(number * 0x9E3779B97F4A7C15) % 2**64:016x}{number:016x}"


def member(number: int, state: str = "alive", **fields: Any) -> Shape:
    reasons = {
        "suspect": "no ack from it; 2 of 3 helpers could not reach it either",
        "dead": "suspected by web-2 for 4.1 s and did not refute it",
        "left": "it left",
    }
    zone = ZONES[number % 3 if number < 100 else number % len(ZONES)]
    return {
        "id": member_id(number), "name": f"web-{number}", "address": f"10.0.{number // 250}.{number % 250 + 1}:7946",
        "state": state, "zone": zone, "labels": {"rack": f"r{number % 7}"},
        "rtt_ms": None if number == 0 or state != "alive" else round(0.3 + (number % 37) ** 1.4 * 0.7, 2),
        "services": number % 6, "version": ["110979534851014656", 3], "since_s": 3600.0 * (number % 90) + 40,
        "reason": reasons.get(state, ""), "maintenance": "kernel update" if number == 7 else None,
        "keys": ["5f1c93ab", "99ab3e02"], "software": VERSIONS[number % 4], "me": number == 0, **fields,
    }  # fmt: skip


def members(count: int) -> list[Shape]:
    states = dict.fromkeys((17, 411, 633), "dead") | {5: "suspect", 23: "left", 702: "suspect"}
    return [member(number, states.get(number, "alive")) for number in range(count)]


def services(count: int) -> list[Shape]:
    names = ("checkout", "billing", "stock", "mail", "search", "auth", "cart", "profile", "media", "report")
    found = []
    for number in range(count):
        critical, warning = int(number % 41 == 3), int(number % 29 == 4)
        maintenance = int(number % 53 == 5)
        passing = 0 if number == 3 else 2 + number % 5
        found.append({
            "key": f"{names[number % 10]}-{number}" if number >= 10 else names[number],
            "name": f"{names[number % 10]}-{number}" if number >= 10 else names[number],
            "instances": passing + critical + warning + maintenance, "passing": passing, "warning": warning,
            "critical": critical, "maintenance": maintenance, "stale": 0, "tags": ["v2", "http"][: 1 + number % 2],
        })  # fmt: skip
    return found


def instance(number: int, health: str = "passing", **fields: Any) -> Shape:
    return {
        "service": "billing", "id": f"billing-{8080 + number}", "node": member_id(number), "node_name": f"web-{number}",
        "address": f"10.0.0.{number + 1}", "port": 8080 + number, "tags": ["v2"], "meta": {"git": "a1b2c3d"},
        "weight": 1,
        "health": health, "stale": False, "zone": ZONES[number % 3], "version": ["110979534851014656", 3],
        "checks": None, "out_because": None, **fields,
    }  # fmt: skip


def service() -> Shape:
    checks = [
        {
            "check": "http GET /health",
            "health": "critical",
            "output": "HTTP 503: pool exhausted (20 of 20 in use)",
            "checked_s": 4.0,
        },
        {"check": "tcp 10.0.0.1:8080", "health": "passing", "output": "connected in 0.4 ms", "checked_s": 2.0},
    ]
    return {
        "name": "billing",
        "instances": [
            instance(0, "critical", checks=checks,
                out_because="it is critical: http GET /health: HTTP 503: pool exhausted"),
            instance(1), instance(2, weight=3), instance(4, "warning", out_because="it is in the state warning"),
            instance(7, "maintenance", reason="kernel update", out_because="it is in maintenance: kernel update"),
            instance(17, "critical", since_s=812.0,
                out_because="its member web-17 is dead: suspected by web-2 for 4.1 s and did not refute it"),
        ],
        "explain": {
            "name": "billing", "instances": 5, "health": {"passing": 2, "warning": 1, "critical": 1, "maintenance": 1},
            "matching": {"passing": 2, "warning": 1, "critical": 1, "maintenance": 1}, "not_in_zone": 0,
            "without_tags": 0, "zones": [ZONES[1], ZONES[2]], "tags": ["v2"], "dead": 1, "synced": True,
        },
    }  # fmt: skip


def overview(all: list[Shape], *, troubles: bool = True) -> Shape:
    states = {state: sum(one["state"] == state for one in all) for state in ("alive", "suspect", "dead", "left")}
    fields = ("id", "name", "address", "state", "since_s", "reason")
    return {
        "troubles": [{
            "kind": "path_mtu", "since_s": 5400.0,
            "message": "datagrams of 1400 bytes do not reach 2 members in us-east-2a, those of 576 do: look at the MTU "
                       "of the tunnel, or start with --mtu 576",
        }] if troubles else [],
        "synced": True, "not_synced_because": "", "knowledge": "synced", "alone": False, "out": False,
        "uptime_s": 93211.0,
        "members": states,
        "services": {"names": 42, "instances": 168, "passing": 160, "warning": 3, "critical": 3, "maintenance": 2},
        "events": {"groups": 3, "pending": 1204, "oldest_s": 312.0, "dead": 2 if troubles else 0},
        "sagas": {"running": 6, "undoing": 1, "finishing": 2, "stuck": 1 if troubles else 0},
        "not_alive": [{key: one[key] for key in fields} for one in all if one["state"] in ("suspect", "dead")],
        "failing_checks": [{
            "service": "billing-8080", "check": "http GET /health", "health": "critical",
            "output": "HTTP 503: pool exhausted (20 of 20 in use)", "since_s": 94.0,
        }] if troubles else [],
        "maintenance": [{"service": "mail-2525", "reason": "moved to another host"}] if troubles else [],
    }  # fmt: skip


def one_member(all: list[Shape], query: dict[str, str]) -> Shape:
    found = next((one for one in all if one["id"] == query["name"]), None)
    load = {
        "uptime_s": 93211.0,
        "cpu": 0.013,
        "loop_lag_ms": 0.42,
        "memory_bytes": 41_000_000,
        "journals_led": 2,
        "health_score": 0,
    }
    return {
        "member": found,
        "services": [instance(0), instance(4, "warning")],
        "troubles": [],
        "load": load,
        "failing_checks": [],
    }


def events() -> Shape:
    group = {"bytes": 2_400_000, "unanswered": [], "journals": 4, "patterns": ["order.*"]}
    letter = {"group": "billing", "journal": "5f5f5f5f5f5f5f5f", "source": "web-2", "key": "order-7", "holds": True}
    return {
        "groups": [
            {**group, "group": "billing", "pending": 1200, "oldest_s": 312.0, "dead": 2, "instances": 3},
            {**group, "group": "mail", "pending": 4, "oldest_s": 0.8, "dead": 0, "instances": 1},
            {**group, "group": "audit", "pending": 90, "oldest_s": 86000.0, "dead": 0, "instances": 0,
                "patterns": ["#"]},
        ],
        "dead": [
            {**letter, "index": 812, "id": "0198f2", "type": "order.created", "reason": "HTTP 422: no such customer",
                "attempts": 10, "age_s": 5400.0},
            {**letter, "index": 990, "id": "0198f9", "type": "order.cancelled", "reason": "rejected: unknown order",
                "attempts": 1, "age_s": 120.0, "holds": False},
        ],
        "journals": [{
            "id": "5f5f5f5f5f5f5f5f", "owner": member_id(2), "owner_name": "web-2", "role": "leads",
            "leader": member_id(0),
            "leader_name": "web-0", "ballot": "7", "copies": 3, "takeover": True, "learners": [], "behind": False,
            "voters": [{"node": member_id(n), "name": f"web-{n}", "replica": "aa", "state": s} for n, s in ((0,
                "here"), (1, "current"), (2, "lost"))],
            "committed": 88120, "bytes": 51_000_000, "fill": 0.83, "orphaned": False,
        }],
        "not_answered": [],
    }  # fmt: skip


def saga_step(name: str, from_ms: float, until_ms: float | None, state: str = "done", **fields: Any) -> Shape:
    return {
        "name": name, "service": name.split("-")[-1], "method": "POST", "path": f"/{name}", "state": state,
        "optional": False,
        "after": False, "stuck": False, "status": 200 if until_ms else 0, "content_type": "application/json",
        "body": "",
        "cut": False, "attempts": 1, "text": "", "instance": "web-3 10.0.0.4:8083", "intended": NOW * 1000 + from_ms,
        "settled": None if until_ms is None else NOW * 1000 + until_ms, "undo": None, "by_hand": [], **fields,
    }  # fmt: skip


def undo(until_ms: float | None, **fields: Any) -> Shape:
    return {
        "method": "DELETE", "path": "/undo", "status": 200 if until_ms else 503, "attempts": 1, "text": "",
        "instance": "",
        "settled": None if until_ms is None else NOW * 1000 + until_ms, **fields,
    }  # fmt: skip


def saga() -> Shape:
    steps = [
        saga_step("reserve-stock", 4, 88, "undone", undo=undo(1090)),
        saga_step("charge-billing", 90, 412, "undoing", stuck=True, undo=undo(
            None, attempts=14, text="HTTP 503 from billing: pool exhausted", instance="web-0 10.0.0.1:8080")),
        saga_step("book-courier", 95, 640, "refused", status=409, text="HTTP 409: no courier on that day", attempts=2),
    ]  # fmt: skip
    return {
        "saga": "5f5f5f5f5f5f5f5f.order-1042", "id": "order-1042", "name": "create-order", "kind": "by_code",
        "state": "aborted", "decision": "abort", "reason": "the step book-courier was refused: HTTP 409",
        "began": NOW * 1000, "decided": NOW * 1000 + 655, "ended": None, "timeout_ms": 60000,
        "input": '{"order": 1042, "items": 3}', "takeover": True, "steps": steps,
    }  # fmt: skip


def sagas(count: int = 30) -> Shape:
    found = []
    for number in range(count):
        state = ("running", "committed", "ended", "ended", "aborted")[number % 5]
        decision = {"running": None, "aborted": "abort"}.get(state, "commit")
        found.append({
            "saga": f"5f5f5f5f5f5f5f5f.order-{1042 - number}", "name": "create-order", "kind": "by_code",
            "state": state,
            "decision": decision, "reason": "refused by a participant" if state == "aborted" else "",
            "began": NOW * 1000 - number * 61_000, "decided": None, "steps": 3 + number % 2, "skipped": 0,
            "ended": NOW * 1000 - number * 61_000 + 1840 if state == "ended" else None,
            "stuck": ["charge-billing"] if number == 4 else [],
        })  # fmt: skip
    return {"items": found, "not_answered": []}


def history(count: int = 120) -> Shape:
    kinds = [
        ("member_dead", "warning", "web-17 is dead: suspected by web-2 for 4.1 s and did not refute it"),
        ("member_alive", "info", "web-17 is alive again"),
        ("check_failed", "error", "billing-8080 is critical: http GET /health: HTTP 503: pool exhausted"),
        ("service_out", "info", "billing-8080 is out of the answers: it is critical"),
        ("saga_stuck", "warning", "create-order order-1042 is stuck at charge-billing"),
        ("started", "info", "this sidecar has started: 0.2.0"),
    ]
    lines = []
    for number in range(count):
        kind, level, message = kinds[(number * 7) % 6]
        about: Shape = {"member": {"id": member_id(17), "name": "web-17"}} if "member" in kind else {}
        about |= {"service": "billing", "instance": "billing-8080"} if "service" in kind or "check" in kind else {}
        lines.append({
            "seq": 5000 - number, "at": NOW - number * number * 4.0, "kind": kind, "level": level, "message": message,
            **about,
        })  # fmt: skip
    return {"kind": "current", "lines": lines, "more": False, "kept_from": NOW - 14 * 86400, "kept_in": "disk"}


def pieces(kind: str, items: list[Shape]) -> Events:
    parts = [items[at : at + 500] for at in range(0, len(items), 500)] or [[]]
    for number, part in enumerate(parts, 1):
        yield kind, {"kind": "current", "items": part, "last": number == len(parts)}


def fake_cluster(
    *, members_: int = 30, services_: int = 42, writes: bool = False, troubles: bool = True
) -> FakeSidecar:
    all, named = members(members_), services(services_)
    views = {
        "members": lambda _query: pieces("members", all),
        "services": lambda _query: pieces("services", named),
        "service": lambda _query: [("service", service())],
        "member": lambda query: [("member", one_member(all, query))],
        "events": lambda _query: [("events", events())],
        "sagas": lambda _query: [("sagas", sagas())],
        "saga": lambda _query: [("saga", saga())],
        "history": lambda _query: [("history", history())],
    }
    hello = {
        "id": member_id(0), "name": "web-0", "cluster": "shop", "version": "0.2.0", "writes": writes, "now": NOW + 1.5,
        "data_dir": True,
    }  # fmt: skip
    return FakeSidecar(views, hello, overview(all, troubles=troubles))
