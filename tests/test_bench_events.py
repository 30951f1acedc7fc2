"""The row `events` of the bench without its servers: what it computes, and how it runs client programs."""

import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks import bench
from scripts.benchmarks.cluster import Failed
from scripts.benchmarks.events import records, row
from scripts.benchmarks.events.nats_peer import configuration
from scripts.benchmarks.events.peer import EventsPeer, Load, Pace, ProgramsPeer
from scripts.benchmarks.events.records import Record, Throughput, decode, encode, number_of, numbered
from scripts.benchmarks.events.redis_peer import fields_of
from scripts.benchmarks.run import Figures, Run
from scripts.benchmarks.stop import Stop

RECORDS = st.lists(st.builds(Record, st.integers(0, (1 << 64) - 1), st.floats(allow_nan=False)))


@pytest.fixture
def stop() -> Iterator[Stop]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield Stop()
    for number, handler in before.items():
        signal.signal(number, handler)


# -- records -----------------------------------------------------------------------------------------------------------


@given(RECORDS)
def test_records_are_what_was_written(written: list[Record]) -> None:
    assert decode(encode(written)) == written


def test_records_that_were_cut_off_are_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes are no whole number of records of 16"):
        decode(encode([Record(1, 1.0), Record(2, 2.0)])[:-1])


def test_each_event_of_each_publisher_has_its_own_number() -> None:
    data = bytes(1024)
    events = [numbered(publisher, count, data) for publisher in (0, 1, 63) for count in (0, 1, records.EACH - 1)]
    assert {len(event) for event in events} == {1024}
    assert len({number_of(event) for event in events}) == len(events)


def test_an_event_counts_at_the_later_of_its_two_times() -> None:
    acked = [Record(1, 9.9), Record(2, 9.9), Record(3, 19.9), Record(4, 19.9), Record(5, 10.0)]
    handled = [Record(1, 9.8), Record(2, 10.0), Record(3, 20.0), Record(4, 12.0), Record(5, 9.0)]
    assert records.throughput(acked, handled, 10.0, 20.0) == Throughput(0.3, lost=0, again=0)


def test_an_acknowledged_event_that_nobody_handled_is_lost() -> None:
    acked = [Record(1, 1.0), Record(2, 1.0), Record(3, 99.0)]
    assert records.throughput(acked, [Record(1, 1.0)], 0.0, 10.0) == Throughput(0.1, lost=2, again=0)


def test_an_event_nobody_acknowledged_counts_nowhere() -> None:
    assert records.throughput([], [Record(1, 1.0)], 0.0, 10.0) == Throughput(0.0, lost=0, again=0)


def test_a_second_delivery_is_counted_and_changes_no_time() -> None:
    handled = [Record(1, 11.0), Record(1, 5.0), Record(1, 12.0)]
    assert records.throughput([Record(1, 4.0)], handled, 0.0, 10.0) == Throughput(0.1, lost=0, again=2)


@given(st.dictionaries(st.integers(0, 30), st.floats(0, 20)), st.lists(st.tuples(st.integers(0, 30), st.floats(0, 20))))
def test_every_acknowledged_event_is_lost_or_handled(acked: dict[int, float], handled: list[tuple[int, float]]) -> None:
    deliveries = [Record(*one) for one in handled]
    found = records.throughput([Record(*one) for one in acked.items()], deliveries, 0.0, 21.0)
    assert found.events_a_second * 21 + found.lost == pytest.approx(len(acked))
    assert found.again + len({one.number for one in deliveries}) == len(deliveries)


def test_a_latency_ends_with_the_first_handling() -> None:
    sent = [Record(7, 1.0), Record(8, 2.0), Record(9, 3.0)]
    handled = [Record(9, 3.5), Record(7, 1.25), Record(7, 1.125)]
    assert records.latencies_ms(sent, handled) == [125.0, None, 500.0]


# -- client programs ---------------------------------------------------------------------------------------------------

FILE_CLIENTS = """
# Clients of a "server" that is a file per stream, in the folder PLACE. PLACE/drop: the handler leaves out event 0.
import os, select, sys, time
from pathlib import Path
from scripts.benchmarks.events import client_side
from scripts.benchmarks.events.records import NUMBER, Record, number_of, numbered

client_side.QUIET_S = 0.1

def prepare(place, stream):
    Path(place, stream).touch(exist_ok=False)

def send(place, stream, event):
    with open(Path(place, stream), "ab", 0) as file:
        file.write(event[:8])

def publish(place, stream, first, count, size):
    if Path(place, "fail").exists():
        raise OSError("the server has gone")
    client_side.say_ready()
    begin, end = client_side.times_given()
    client_side.sleep_until(begin)
    acked, sent = [], 0
    while time.perf_counter() < end:
        for publisher in range(first, first + count):
            event = numbered(publisher, sent, bytes(size))
            send(place, stream, event)
            acked.append(Record(number_of(event), time.perf_counter()))
        sent += 1
        select.select([], [], [], 0.005)
    client_side.write(acked)

def receive(place, stream, at):
    data = Path(place, stream).read_bytes()
    return [number_of(data[one:]) for one in range(at, len(data), 8)], len(data)

def handle(place, stream):
    ended, handled, at, last = client_side.told_to_end(), [], 0, time.perf_counter()
    client_side.say_ready()
    while not ended.is_set() or time.perf_counter() - last < client_side.QUIET_S:
        numbers, at = receive(place, stream, at)
        last = time.perf_counter() if numbers else last
        handled += [Record(one, last) for one in numbers if one or not Path(place, "drop").exists()]
        select.select([], [], [], 0.01)
    client_side.write(handled)

def latency(place, stream, count, per_s, size):
    client_side.say_ready()
    sent, handled, at = [], [], 0
    for number, due in enumerate(client_side.due_times(count, per_s)):
        client_side.sleep_until(due)
        event = numbered(0, number, bytes(size))
        sent.append(Record(number_of(event), time.perf_counter()))
        send(place, stream, event)
        numbers, at = receive(place, stream, at)
        handled += [Record(one, time.perf_counter()) for one in numbers]
    client_side.write_latencies(sent, handled)

if __name__ == "__main__":
    client_side.run(dict(prepare=prepare, publish=publish, handle=handle, latency=latency), sys.argv[1:])
"""


class FilePeer(ProgramsPeer):
    name = "files"
    servers = 1
    durable = "nothing"
    clients = "file_clients"
    python = sys.executable

    @property
    def place(self) -> str:
        return str(self.folder)

    def launch(self) -> None:
        self.server("s0", ["sleep", "1000"])


LOAD = Load(publishers=4, processes=2, warm_up_s=0.1, measured_s=0.3)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: Stop) -> FilePeer:
    (tmp_path / "file_clients.py").write_text(FILE_CLIENTS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return FilePeer(stop)


def test_publishers_in_processes_and_one_handler_give_a_rate(files: FilePeer) -> None:
    with files:
        found = files.throughput(LOAD)
    assert found.events_a_second > 0
    assert (found.lost, found.again) == (0, 0)


def test_an_event_that_the_server_drops_is_reported(files: FilePeer) -> None:
    with files:
        (files.folder / "drop").touch()
        assert files.throughput(LOAD).lost == 1


def test_the_latencies_leave_the_first_events_out(files: FilePeer) -> None:
    with files:
        found = files.latency(Pace(events=4, warm_up=2, per_s=100))
    assert len(found) == 4
    assert all(value is not None and value > 0 for value in found)


def test_a_client_that_fails_is_named_with_its_last_words(files: FilePeer) -> None:
    with files:
        (files.folder / "fail").touch()
        with pytest.raises(Failed, match=r"^files publish ended with 1: OSError: the server has gone$"):
            files.throughput(LOAD)


def test_servers_and_their_data_are_gone_after_a_failed_start(files: FilePeer, monkeypatch: pytest.MonkeyPatch) -> None:
    def launch(self: FilePeer) -> None:
        self.server("s0", ["sh", "-c", "echo $$; echo cannot bind; exec sleep 1000"])
        self.until(lambda: "bind" in self.log("s0").read_text(), "s0")
        self.server("s1", ["/no/such/program"])

    monkeypatch.setattr(FilePeer, "launch", launch)
    pids: list[int] = []
    monkeypatch.setattr(FilePeer, "stop", _noting_pid(pids))
    with pytest.raises(Failed, match=r"^files: there is no program '/no/such/program'$"), files:
        pass
    assert not files.folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def _noting_pid(pids: list[int]) -> Any:
    def stop(self: FilePeer) -> None:
        pids.append(int(self.log("s0").read_text().split()[0]))
        ProgramsPeer.stop(self)

    return stop


# -- the row -----------------------------------------------------------------------------------------------------------


class FakePeer(EventsPeer):
    servers = 3
    durable = "two disks"
    calls: ClassVar[list[str]] = []

    def __init__(self, name: str, rates: list[Throughput]) -> None:
        self.name = name  # type: ignore[misc]  # one class for two programs
        self._rates = iter(rates)

    def start(self) -> None:
        self.calls.append(f"start {self.name}")

    def stop(self) -> None:
        self.calls.append(f"stop {self.name}")

    def throughput(self, load: Load) -> Throughput:  # noqa: ARG002
        return next(self._rates)

    def latency(self, pace: Pace) -> list[float | None]:  # noqa: ARG002
        return [2.0, None]


def a_run(stop: Stop, reps: int) -> Run:
    def no_cluster() -> Any:
        raise AssertionError("this row has no members")

    return Run(64, reps, random.Random(1), stop, no_cluster, False, lambda _: None, 0.0, 4)


def test_peers_are_measured_in_turn_and_each_repetition_counts(stop: Stop) -> None:
    FakePeer.calls.clear()
    one = FakePeer("one", [Throughput(100.0, 0, 1), Throughput(80.0, 2, 0)])
    other = FakePeer("other", [Throughput(10.0, 0, 0), Throughput(20.0, 0, 0)])
    found = row.measured(a_run(stop, 2), [one, other], Load(), Pace())
    assert FakePeer.calls == 2 * ["start one", "stop one", "start other", "stop other"]
    assert found == [
        Figures(
            "events",
            3,
            [100.0, 80.0],
            "events/s",
            2,
            None,
            {"least": 80.0, "again": 1.0, "failed": 0.0},
            "one",
            "two disks",
        ),
        Figures(
            "events",
            3,
            [10.0, 20.0],
            "events/s",
            0,
            None,
            {"least": 10.0, "again": 0.0, "failed": 0.0},
            "other",
            "two disks",
        ),
        Figures("events-latency", 3, [2.0, None, 2.0, None], of="one", durable="two disks"),
        Figures("events-latency", 3, [2.0, None, 2.0, None], of="other", durable="two disks"),
    ]


def test_a_repetition_that_fails_costs_no_other(stop: Stop) -> None:
    class Fails(FakePeer):
        def latency(self, pace: Pace) -> list[float | None]:
            if self.calls.count(f"start {self.name}") == 1:
                raise Failed("its handler has not ended after 63 s")
            return super().latency(pace)

    FakePeer.calls.clear()
    one, other = (FakePeer(name, [Throughput(number, 0, 0) for number in (8.0, 6.0)]) for name in ("one", "other"))
    fails = Fails("fails", [Throughput(9.0, 0, 0), Throughput(7.0, 0, 0)])
    found = row.measured(a_run(stop, 2), [one, fails, other], Load(), Pace())
    assert [figures.values for figures in found[:3]] == [[8.0, 6.0], [7.0], [8.0, 6.0]]
    assert [figures.also["failed"] for figures in found[:3]] == [0.0, 1.0, 0.0]
    assert found[4].values == [2.0, None]
    FakePeer.calls.clear()
    with pytest.raises(Failed, match="has not ended"):
        row.measured(
            a_run(stop, 1),
            [FakePeer("one", [Throughput(8.0, 0, 0)]), Fails("fails", [Throughput(9.0, 0, 0)])],
            Load(),
            Pace(),
        )


def test_a_line_names_the_program_and_what_it_counts_as_durable(
    stop: Stop, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def events(run: Run) -> list[Figures]:
        assert (run.reps, run.processes) == (1, 8)
        ours = Figures("events", 3, [50.0], "events/s", of="gossipreg", durable="two disks")
        return [ours, Figures("events", 2, [100.0], "events/s", of="redis", durable="one disk")]

    monkeypatch.setattr(row, "missing", lambda: None)
    monkeypatch.setitem(bench.ROWS, "events", (events, 1))
    given = bench.arguments_of(["events", "--processes", "8", "--json"])
    assert bench.Bench(given, stop).run() == 0
    ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
    assert (ours["of"], ours["durable"], "ratio" in ours) == ("gossipreg", "two disks", False)
    assert (theirs["of"], theirs["n"], theirs["durable"], theirs["ratio"]) == ("redis", 2, "one disk", 2.0)


def test_events_runs_only_if_it_is_named() -> None:
    assert "events" not in bench.arguments_of([]).rows


# -- the servers' languages --------------------------------------------------------------------------------------------


def test_the_configuration_of_nats_syncs_always(tmp_path: Path) -> None:
    text = configuration("n1", 4001, 4101, 4201, [4200, 4201], tmp_path)
    assert text.splitlines() == [
        'server_name: "n1"',
        'listen: "127.0.0.1:4001"',
        'http: "127.0.0.1:4101"',
        f'jetstream {{ store_dir: "{tmp_path}", sync_interval: always }}',
        'cluster { name: "bench", listen: "127.0.0.1:4201", '
        'routes: ["nats://127.0.0.1:4200", "nats://127.0.0.1:4201"] }',
    ]


def test_the_answer_of_redis_about_its_replicas_is_read() -> None:
    slave = "ip=127.0.0.1,port=7001,state=online,offset=14,lag=1"
    answer = f"$97\r\n# Replication\r\nrole:master\r\nslave0:{slave}\r\n\r\n+OK\r\n"
    assert fields_of(answer) == {"role": "master", "slave0": slave}
