"""What a run found, as JSON lines and as a table; and the datagrams' parts by size."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.wire import codec
from gossipreg.wire.messages import Delta, Message, Pull
from gossipreg.wire.seal import HEADER_BYTES
from simulations import frames, reports
from simulations.scenario import Case, Figure, percentile
from tests.wire.valid_messages import ID, messages

floats = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


@given(floats, st.sampled_from([0.5, 0.99, 0.999, 1.0]))
def test_a_percentile_is_the_smallest_value_with_that_share(values: list[float], part: float) -> None:
    found = percentile(sorted(values), part)
    assert sum(value <= found for value in values) >= part * len(values)
    smaller = [value for value in values if value < found]
    assert len(smaller) < part * len(values)


def test_percentiles_of_a_thousand() -> None:
    ordered = list(range(1, 1001))
    assert [percentile(ordered, part) for part in reports.PARTS.values()] == [500, 990, 999, 1000]
    assert percentile([7.0], 0.5) == 7


def test_a_line_has_what_a_reader_looks_for_and_no_wall_time() -> None:
    case = Case(nodes=9, seed=4, detector="swim")
    text = reports.lines("crash", case, [Figure("known", "s", (3.0, 1.0, 2.00000049))])
    assert text.endswith("}\n")
    assert json.loads(text) == {
        "scenario": "crash", "seed": 4, "nodes": 9, "detector": "swim", "metric": "known", "unit": "s",
        "p50": 2, "p99": 3, "p999": 3, "max": 3, "n": 3,
    }  # fmt: skip


def test_loss_and_label_are_there_where_they_are_set() -> None:
    (line,) = reports.lines("crash", Case(loss=0.05, label="silent=1"), [Figure("a", "1", (1.0,))]).splitlines()
    assert json.loads(line)["loss"] == 0.05
    assert json.loads(line)["label"] == "silent=1"


def test_a_metric_without_samples_has_a_line_without_values() -> None:
    record = json.loads(reports.lines("crash", Case(), [Figure("last", "s", ())]))
    assert record["n"] == 0
    assert [record[name] for name in reports.PARTS] == [None] * 4


def test_values_have_six_digits() -> None:
    record = json.loads(reports.lines("a", Case(), [Figure("m", "s", (0.1234567, 1234567.8, 1e20))]))
    assert (record["p50"], record["max"]) == (1.23457e6, 1e20)


def pooled() -> reports.Pool:
    pool = reports.Pool()
    for case, value in [
        (Case(nodes=10), 1.0),
        (Case(nodes=1000, loss=0.2), 12345.678),
        (Case(nodes=10, seed=2), 3.0),
        (Case(nodes=1000, loss=0.2, seed=2), 0.0123456),
    ]:
        pool.add(case, [Figure("time", "s", (value,)), Figure("never", "1", ())])
    return pool


def test_runs_that_differ_in_their_seed_only_are_pooled() -> None:
    assert [(one.case.nodes, one.metric, one.values) for one in pooled().series()] == [
        (10, "time", [1.0, 3.0]), (10, "never", []), (1000, "time", [12345.678, 0.0123456]), (1000, "never", []),
    ]  # fmt: skip


def test_a_report_is_aligned_and_has_no_empty_column() -> None:
    assert reports.table(pooled()).splitlines() == [
        "nodes  detector  loss  metric      p50     p99   p99.9     max  unit  n",
        "   10  ours            time          1       3       3       3  s     2",
        "   10  ours            never         -       -       -       -  1     0",
        "1,000  ours       0.2  time    0.01235  12,346  12,346  12,346  s     2",
        "1,000  ours       0.2  never         -       -       -       -  1     0",
    ]


# -- datagrams --------------------------------------------------------------------------------------------------------


@given(st.lists(messages, min_size=1, max_size=4))
def test_kinds_and_sizes_of_a_datagram_are_its_messages(said: list[Message]) -> None:
    bodies = [codec.encode(message) for message in said]
    found = list(frames.sizes(bytes(HEADER_BYTES) + b"".join(bodies)))
    assert found == [
        (re.sub(r"(?<!^)(?=[A-Z])", "_", type(m).__name__).lower(), len(body))
        for m, body in zip(said, bodies, strict=True)
    ]


@given(st.lists(messages, max_size=3))
def test_the_pages_of_a_row_are_found_among_other_messages(said: list[Message]) -> None:
    page = Delta(ID, 7, 0, 3, 3, 0, 0, ((1, 2, b"x"),))
    datagram = bytes(HEADER_BYTES) + b"".join(codec.encode(message) for message in [*said, page])
    wanted = [message for message in [*said, page] if isinstance(message, Delta) and message.id == ID]
    assert frames.deltas_of(datagram, ID) == wanted


def test_a_datagram_that_names_a_member_carries_no_page_of_it() -> None:
    datagram = bytes(HEADER_BYTES) + codec.encode(Pull(ID, 7, 3))
    assert frames.deltas_of(datagram, ID) == []
    assert frames.deltas_of(datagram[:-1], ID) == []  # nor does one that is cut off raise anything


@pytest.mark.parametrize("value", [0.0, -0.0])
def test_nothing_is_written_as_nothing(value: float) -> None:
    assert '"max": 0,' in reports.lines("a", Case(), [Figure("m", "s", (value,))])
