"""What the answers of services mean for events."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon.deliveries.verdicts import AFTER_MAX_S, Verdict, dapr_verdict, route_verdict
from gossipreg.events.messages import DeliveryResult
from gossipreg.net.http_client import HttpAnswer

ACKED, REJECTED, FAILED = DeliveryResult.ACKED, DeliveryResult.REJECTED, DeliveryResult.FAILED


def answer(status: int, body: bytes = b"", **headers: str) -> HttpAnswer:
    return HttpAnswer(status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), body)


@pytest.mark.parametrize("status", range(200, 600))
def test_a_route_acks_with_2xx_and_rejects_with_four_statuses(status: int) -> None:
    expected = ACKED if status < 300 else REJECTED if status in (400, 413, 415, 422) else FAILED
    assert route_verdict(answer(status)).result is expected


@pytest.mark.parametrize("status", range(200, 600))
def test_a_dapr_app_drops_with_404_and_every_other_status_retries(status: int) -> None:
    expected = ACKED if status < 300 else REJECTED if status == 404 else FAILED
    assert dapr_verdict(answer(status)).result is expected


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b"", ACKED), (b"ok", ACKED), (b"{}", ACKED), (b"[]", ACKED), (b'{"status": ""}', ACKED),
        (b'{"status": 7}', ACKED),
        (b'{"status": "SUCCESS"}', ACKED), (b'{"status": "RETRY"}', FAILED), (b'{"status": "DROP"}', REJECTED),
        (b'{"status": "success"}', FAILED), (b'{"status": "WHAT"}', FAILED), (b"\xff", ACKED), (b"[" * 50_000, ACKED),
    ],
)  # fmt: skip
def test_the_status_in_a_dapr_apps_body_decides(body: bytes, result: DeliveryResult) -> None:
    assert dapr_verdict(answer(200, body)).result is result


def test_retry_after_is_obeyed_within_a_bound() -> None:
    assert route_verdict(answer(503, retry_after="7")).after_s == 7.0
    assert dapr_verdict(answer(429, retry_after="7")).after_s == 7.0
    assert dapr_verdict(answer(200, b'{"status":"RETRY"}', retry_after="7")).after_s == 7.0
    assert route_verdict(answer(503, retry_after="999999999")).after_s == AFTER_MAX_S
    assert route_verdict(answer(503, retry_after="soon")).after_s == 0.0
    at, now = "Sun, 06 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:49:37 GMT"
    assert route_verdict(answer(503, retry_after=at, date=now)).after_s == 10.0


def test_the_reason_has_the_status_and_the_first_words() -> None:
    assert route_verdict(answer(422, b"no such order")) == Verdict(REJECTED, "HTTP 422 no such order")
    assert len(route_verdict(answer(422, b"x" * 10_000)).reason) < 300


@given(st.integers(100, 999), st.binary(max_size=50), st.text(max_size=20))
def test_no_answer_breaks_a_verdict(status: int, body: bytes, after: str) -> None:
    for verdict in (route_verdict, dapr_verdict):
        found = verdict(answer(status, body, retry_after=after))
        assert found.result in (ACKED, REJECTED, FAILED)
        assert 0.0 <= found.after_s <= AFTER_MAX_S
