"""Relays in processes that are killed, that fork, and that end: no event is lost, and each keeps its id."""

import json
import signal
from collections import Counter
from pathlib import Path

from scripts.tools.wait import wait_for
from tests.client.outbox.databases import Database, write
from tests.client.outbox.programs import run_program, start_program

KILLED_AFTER_AN_ANSWER = """
left = int(open(sent + ".left").read())
def answered():
    global left
    left -= 1
    if left == 0: os.kill(os.getpid(), signal.SIGKILL)
with Relay(connect, FilePublisher(answered), poll=0.01): eventually(lambda: waiting() == 0)
"""


def lines(sent: Path) -> list[tuple[str, str]]:
    """(id, type) of what was published."""
    if not sent.exists():
        return []
    return [(id, type) for id, type in map(json.loads, sent.read_text().splitlines())]


def test_a_relay_killed_after_an_answer_loses_no_event(database: Database, tmp_path: Path) -> None:
    """It dies between the durable answer and taking the row out: the row is sent again, with its id."""
    sent = tmp_path / "sent"
    types = [f"event.{number}" for number in range(12)]
    write(database, *types)
    killed = 0
    for left in (1, 5, 100):
        (tmp_path / "sent.left").write_text(str(left))
        expected = -signal.SIGKILL if left < 100 else 0
        run_program(KILLED_AFTER_AN_ANSWER, database.address, sent, exit_code=expected)
        killed += expected != 0
    published = lines(sent)
    assert list(dict.fromkeys(type for _, type in published)) == types
    assert len(published) == len(types) + killed
    assert len({*published}) == len(types), "an event that is sent again has its id"
    assert len({id for id, _ in published}) == len(types)
    assert database.waiting == 0


def test_relays_of_several_processes_send_each_event_once(database: Database, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    program = "with Relay(connect, FilePublisher(), poll=0.01): eventually(lambda: os.path.exists(sent + '.end'), 60)"
    with start_program(program, database.address, sent) as one, start_program(program, database.address, sent) as other:
        types = [f"event.{number}" for number in range(40)]
        write(database, *types)
        wait_for(lambda: database.waiting == 0)
        (tmp_path / "sent.end").touch()
        assert [one.wait(60), other.wait(60)] == [0, 0]
    assert [type for _, type in lines(sent)] == types


def test_when_a_sending_process_is_killed_another_takes_over(database: Database, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    write(database, "first", "second")
    stuck = "with Relay(connect, FilePublisher(lambda: time.sleep(60)), poll=0.01): time.sleep(60)"
    with start_program(stuck, database.address, sent) as one:
        wait_for(lambda: len(lines(sent)) == 1)
        one.kill()
        one.wait(30)
        run_program(
            "with Relay(connect, FilePublisher(), poll=0.01): eventually(lambda: waiting() == 0, 20)",
            database.address, sent,
        )  # fmt: skip
    assert [type for _, type in lines(sent)] == ["first", "first", "second"]
    assert len({*lines(sent)}) == 2


def test_a_relay_goes_on_in_the_parent_after_a_fork(database: Database, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    run_program(
        "relay = Relay(connect, FilePublisher(), poll=0.01).start()\n"
        "write('before')\n"
        "eventually(lambda: waiting() == 0)\n"
        "def work():\n"
        "    assert not relay.stats()['running']\n"
        "    write('of.child')\n"
        "for _ in range(3): assert ended_well(child(work))\n"
        "write('after')\n"
        "eventually(lambda: waiting() == 0)\n"
        "assert relay.stats()['running'] and relay.stats()['failures'] == 0, relay.stats()\n"
        "relay.close()\n",
        database.address, sent,
    )  # fmt: skip
    counted = Counter(type for _, type in lines(sent))
    assert counted == {"before": 1, "of.child": 3, "after": 1}


def test_a_forked_child_may_relay_itself(database: Database, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    run_program(
        "relay = Relay(connect, FilePublisher(), poll=0.01).start()\n"
        "write('before')\n"
        "eventually(lambda: waiting() == 0)\n"
        "go = os.pipe()\n"
        "def work():\n"
        "    os.read(go[0], 1)\n"
        "    write('of.child')\n"
        "    Outbox(connect()).wake()\n"
        "    eventually(lambda: waiting() == 0)\n"
        "    assert relay.stats()['running']\n"
        "    relay.close()\n"
        "pid = child(work)\n"
        "relay.close()\n"
        "os.write(go[1], b'x')\n"
        "assert ended_well(pid)\n",
        database.address, sent,
    )  # fmt: skip
    assert [type for _, type in lines(sent)] == ["before", "of.child"]


def test_forks_while_events_are_sent_lose_and_repeat_none(database: Database, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    run_program(
        "relay = Relay(connect, FilePublisher(), poll=0.01).start()\n"
        "write(*[f'event.{number}' for number in range(60)])\n"
        "relay.wake()\n"
        "for _ in range(10): assert ended_well(child(lambda: None))\n"
        "eventually(lambda: waiting() == 0)\n"
        "relay.close()\n",
        database.address, sent,
    )  # fmt: skip
    assert [type for _, type in lines(sent)] == [f"event.{number}" for number in range(60)]


def test_a_program_that_ends_gives_up_the_right_to_send(database: Database, tmp_path: Path) -> None:
    """Its last event is finished, and the next program need not wait."""
    sent = tmp_path / "sent"
    program = (
        "write('event')\nrelay = Relay(connect, FilePublisher(), poll=0.01).start()\neventually(lambda: waiting() == 0)"
    )
    assert run_program(program, database.address, sent) == ""
    assert len(lines(sent)) == 1
    if database.name == "sqlite":
        assert database.query("SELECT * FROM gossipreg_outbox_relay") == []
