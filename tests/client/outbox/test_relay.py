"""The relay's thread: wake-ups, failures, two relays of one table."""

import logging
import sqlite3
import threading
from contextlib import closing
from typing import Any

import pytest

from gossipreg import BadParams, Outbox, Refused, Relay, Unreachable, relay_once
from scripts.tools.wait import wait_for
from tests.client.outbox.databases import Database, Event, NotingPublisher, failure, write

FAR_S = 3600.0
"""A relay that looks so seldom acts only when it is woken."""


def test_a_relay_sends_what_is_committed_while_it_runs(database: Database) -> None:
    publisher = NotingPublisher()
    with Relay(database.connect, publisher, poll=0.02) as relay:
        write(database, "first")
        wait_for(lambda: publisher.types == ["first"])
        write(database, "second")
        wait_for(lambda: publisher.types == ["first", "second"])
        wait_for(lambda: relay.stats()["sent"] == 2)
        assert relay.stats() == {
            "running": True, "blocked": False, "sent": 2, "refused": 0, "failures": 0, "fault": "",
        }  # fmt: skip
    assert not relay.stats()["running"]
    assert database.waiting == 0


def test_wake_makes_a_relay_look_at_once(database: Database) -> None:
    publisher = NotingPublisher()
    with Relay(database.connect, publisher, poll=FAR_S):
        for number in range(5):
            write(database, f"event.{number}", wake=True)
            wait_for(lambda number=number: len(publisher.events) == number + 1)  # type: ignore[misc]


def test_wake_leaves_relays_of_other_tables_alone(database: Database) -> None:
    publisher = NotingPublisher()
    with closing(database.connect()) as connection:
        other = Outbox(connection, table="other_outbox")
        other.create_table()
        connection.commit()
        with (
            Relay(database.connect, publisher, table="other_outbox", poll=FAR_S),
            Relay(database.connect, publisher, poll=FAR_S),
        ):
            write(database, "mine", wake=True)
            wait_for(lambda: publisher.types == ["mine"])
            other.publish("other")
            connection.commit()
            other.wake()
            wait_for(lambda: publisher.types == ["mine", "other"])


def test_two_relays_of_a_table_never_send_both(database: Database) -> None:
    publisher = NotingPublisher()
    types = [f"event.{number}" for number in range(60)]
    with Relay(database.connect, publisher, poll=0.01) as one, Relay(database.connect, publisher, poll=0.01) as other:
        write(database, *types)
        wait_for(lambda: len(publisher.events) >= 60)
        wait_for(lambda: database.waiting == 0)
    assert publisher.types == types
    assert publisher.at_once == 1
    assert 0 in (one.stats()["sent"], other.stats()["sent"])


def test_when_the_sending_relay_is_closed_the_other_goes_on(database: Database) -> None:
    publisher, entered, may_go = NotingPublisher(), threading.Event(), threading.Event()

    def answer(_event: Event) -> None:
        entered.set()
        assert may_go.wait(30)

    first = NotingPublisher(answer)
    with Relay(database.connect, publisher, poll=0.01) as other:
        other.close()
    write(database, "first")  # behind that: a relay may send what it finds before it is closed
    with Relay(database.connect, first, poll=0.01) as one:
        assert entered.wait(30)
        with Relay(database.connect, publisher, poll=0.01) as other:
            wait_for(lambda: other.stats()["blocked"])
            may_go.set()
            wait_for(lambda: len(first.events) == 1)
            one.close()
            write(database, "second")
            wait_for(lambda: publisher.types[-1:] == ["second"])
    assert [*publisher.types, *first.types].count("first") == 1


def test_a_failure_is_tried_again_and_logged_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    attempts: list[str] = []

    def answer(event: Event) -> None:
        attempts.append(event["id"])
        if len(attempts) < 3:
            raise failure("unavailable", "no leader")

    publisher = NotingPublisher(answer)
    write(database, "first")
    with caplog.at_level(logging.WARNING, "gossipreg"), Relay(database.connect, publisher) as relay:
        wait_for(lambda: relay.stats()["sent"] == 1)
        assert relay.stats()["failures"] == 2
    assert len({*attempts}) == 1
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == 2
    assert texts[0].endswith("tries again until it can: unavailable: no leader")
    assert "works again" in texts[1]


def test_a_relay_that_finds_no_table_says_so_and_waits_for_it(
    caplog: pytest.LogCaptureFixture, database: Database
) -> None:
    publisher = NotingPublisher()
    with Relay(database.connect, publisher, table="later") as relay:
        wait_for(lambda: "later" in relay.stats()["fault"])
        with closing(database.connect()) as connection:
            outbox = Outbox(connection, table="later")
            outbox.create_table()
            outbox.publish("first")
            connection.commit()
        wait_for(lambda: publisher.types == ["first"])
    assert "later" in caplog.text


def test_a_connection_that_breaks_is_replaced(postgres_database: Database, caplog: pytest.LogCaptureFixture) -> None:
    publisher = NotingPublisher()
    with Relay(postgres_database.connect, publisher, poll=0.02):
        write(postgres_database, "first")
        wait_for(lambda: publisher.types == ["first"])
        wait_for(lambda: postgres_database.waiting == 0)
        others = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND state = 'idle'"
        )
        assert (True,) in postgres_database.query(others)
        write(postgres_database, "second")
        wait_for(lambda: publisher.types == ["first", "second"])
    assert "cannot go on" in caplog.text


def test_a_closed_relay_sends_nothing_and_does_not_start_again(database: Database) -> None:
    publisher = NotingPublisher()
    relay = Relay(database.connect, publisher)
    with relay:
        pass
    write(database, "first", wake=True)
    relay.wake()
    with pytest.raises(Refused, match="another"):
        relay.start()
    assert publisher.events == []
    assert relay_once(database.connect, publisher).sent == 1


def test_what_was_announced_before_the_close_is_sent(database: Database) -> None:
    for number in range(5):
        publisher = NotingPublisher()
        with Relay(database.connect, publisher, poll=FAR_S):
            write(database, f"event.{number}", wake=True)
        assert publisher.types == [f"event.{number}"]
    assert database.waiting == 0


def test_close_tries_nothing_again_that_has_just_failed(database: Database) -> None:
    def answer(_event: Event) -> None:
        raise Unreachable("no sidecar")

    publisher = NotingPublisher(answer)
    write(database, "first")
    with Relay(database.connect, publisher, poll=FAR_S) as relay:
        wait_for(lambda: relay.stats()["failures"] == 1)
        relay.wake()
    assert (relay.stats()["failures"], database.waiting) == (1, 1)


def test_what_is_no_function_to_connect_is_refused() -> None:
    path: Any = "shop.db"
    for make in (Relay, relay_once):
        with pytest.raises(BadParams, match="give a function that opens a connection"):
            make(path, NotingPublisher())


class AsyncPublisher:
    async def publish(self, *_event: Any, **_named: Any) -> None:
        raise AssertionError("it is not to be called")


@pytest.mark.parametrize(
    ("publisher", "text"),
    [(None, "give the registry"), (NotingPublisher, "give the registry"), (AsyncPublisher(), "which is async")],
)
def test_what_cannot_publish_is_refused(publisher: Any, text: str) -> None:
    """Even if nothing waits. A row that is given to an async registry would be taken out, and never sent."""
    for make in (Relay, relay_once):
        with pytest.raises(BadParams, match=text):
            make(lambda: pytest.fail("it connects"), publisher)


def test_a_publisher_that_answers_with_a_coroutine_loses_no_row(database: Database) -> None:
    class Hidden:
        def publish(self, *_event: Any, **_named: Any) -> object:
            return AsyncPublisher().publish()

    write(database, "first")
    with pytest.raises(BadParams, match="is async"):
        relay_once(database.connect, Hidden())
    assert database.waiting == 1


def test_a_connection_is_no_function_to_connect() -> None:
    async def connect() -> Any:
        raise AssertionError

    with closing(sqlite3.connect(":memory:")) as connection:
        wrong: list[tuple[Any, str]] = [(connection, "connect is the connection"), (connect, "which is async")]
        for given, text in wrong:
            for make in (Relay, relay_once):
                with pytest.raises(BadParams, match=text):
                    make(given, NotingPublisher())


def test_the_figures_grow_during_a_pass(database: Database) -> None:
    """A pass may be long: 100,000 rows wait after an outage."""
    reached, may_go = threading.Event(), threading.Event()

    def answer(event: Event) -> None:
        if event["type"] == "third":
            reached.set()
            assert may_go.wait(30)
        if event["type"] == "first" and not failed:
            failed.append(1)
            raise failure("unavailable")
        if event["type"] == "second":
            raise failure("conflict")

    failed: list[int] = []
    write(database, "first", "second", "third")
    with Relay(database.connect, NotingPublisher(answer)) as relay:
        assert reached.wait(30)
        found = relay.stats()
        may_go.set()
        wait_for(lambda: relay.stats()["sent"] == 2)
    assert (found["sent"], found["refused"], found["failures"], found["fault"]) == (1, 1, 1, "")


def test_a_fault_of_the_database_is_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    def connect() -> Any:
        raise OSError("no route\n\tto the host")

    with caplog.at_level(logging.WARNING, "gossipreg"), Relay(connect, NotingPublisher()) as relay:
        wait_for(lambda: relay.stats()["failures"] == 1)
    assert relay.stats()["fault"] == "OSError: no route to the host"
    assert "\n" not in caplog.records[0].getMessage()


def test_relay_once_says_that_another_relay_sends(database: Database) -> None:
    inner: list[bool] = []

    def answer(_event: Event) -> None:
        inner.append(relay_once(database.connect, NotingPublisher()).held)

    write(database, "first")
    assert relay_once(database.connect, NotingPublisher(answer)).sent == 1
    assert inner == [False]


@pytest.mark.parametrize("poll", [0, -1, "1", None, float("inf"), float("nan")])
def test_a_poll_that_is_no_time_is_refused(poll: float) -> None:
    with pytest.raises(BadParams, match="poll"):
        Relay(lambda: None, NotingPublisher(), poll=poll)
