"""Stories of sagas as the sidecar tells them, for tests of what people see."""

from typing import Any

JOURNAL = "7c" * 16
SAGA = f"{JOURNAL}.order-7"
BEGAN = 1_790_000_000_000
KEY = f"{JOURNAL}.order-7%2F"


def step(name: str, service: str, method: str, path: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "service": service, "method": method, "path": path, "state": "done", "optional": False,
        "after": False, "stuck": False, "status": 201, "content_type": "application/json", "body": b'{"id": 1}',
        "cut": False, "attempts": 1, "text": "", "instance": "10.0.0.1:80", "intended": BEGAN + 3,
        "settled": BEGAN + 15, "undo": None, "by_hand": [], **more,
    }  # fmt: skip


def undo(path: str, **more: Any) -> dict[str, Any]:
    return {
        "method": "DELETE", "path": path, "status": 204, "attempts": 1, "text": "", "settled": BEGAN + 70,
        "instance": "10.0.0.1:80", **more,
    }  # fmt: skip


def story(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "saga": SAGA, "id": "order-7", "name": "create-order", "kind": "declared", "state": "ended",
        "decision": "commit", "reason": "", "began": BEGAN, "decided": BEGAN + 51, "ended": BEGAN + 90,
        "timeout_ms": 60_000, "input": b'{"sku":"a"}', "takeover": True, "steps": list(steps), **more,
    }  # fmt: skip


def short(**more: Any) -> dict[str, Any]:
    return {
        "saga": SAGA, "name": "create-order", "kind": "declared", "state": "ended", "decision": "abort",
        "reason": "pay was refused", "began": BEGAN, "decided": BEGAN + 51, "ended": BEGAN + 90, "steps": 2,
        "stuck": [], "skipped": 0, **more,
    }  # fmt: skip


RESERVED = step("reserve", "stock", "PUT", f"/reservations/{KEY}reserve")
REFUSED = step(
    "pay", "payments", "POST", "/payments", state="refused", status=402, text="it answered 402",
    intended=BEGAN + 16, settled=BEGAN + 50, body=b'{"error": "no money"}',
)  # fmt: skip
COMMITTED = story(
    RESERVED, step("mail", "mail", "POST", "/mail", state="after_done", after=True, status=202, settled=BEGAN + 80)
)
UNDONE = story(
    {**RESERVED, "state": "undone", "undo": undo(f"/reservations/{KEY}reserve")}, REFUSED,
    decision="abort", reason="step pay was refused",
)  # fmt: skip
STUCK = story(
    {
        **RESERVED, "state": "undoing", "stuck": True,
        "undo": undo(f"/reservations/{KEY}reserve", status=503, attempts=20, settled=None, text="it answered 503"),
        "by_hand": [{"decision": "retry", "who": "uid 0 at web-1", "why": "mended", "at": BEGAN + 5000}],
    },
    step("points", "loyalty", "POST", "/points", state="undone", status=0, settled=None, text="no answer came",
         attempts=3, body=b"", intended=BEGAN + 16, undo=undo("/points")),
    state="aborted", decision="abort", ended=None, reason="its program was lost",
)  # fmt: skip
RUNNING = story(
    RESERVED, {**REFUSED, "state": "intended", "status": 0, "settled": None, "text": "", "body": b""},
    state="running", decision=None, decided=None, ended=None, takeover=False,
)  # fmt: skip
