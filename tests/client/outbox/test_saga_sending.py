"""A row of the outbox begins its saga in one journal, whatever becomes of its relay, its sidecar and that journal."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gossipreg
from gossipreg import relay_once
from gossipreg.errors import BadParams, NoDataDirectory, NotFound, OutcomeUnknown, Unavailable, UnknownMethod
from tests.client.outbox.conftest import with_tables
from tests.client.outbox.databases import Database, NotingPublisher, sqlite_database
from tests.client.outbox.test_outbox_sagas import STEP, TOML, begin
from tests.client.sagas.saga_sidecar import SagaSidecar, begun


class Killed(BaseException):
    """The process of the relay ends here."""


class World:
    """Some sidecars with a journal each; what was begun in which."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        """JOURNAL.ID, once for each time that it was begun, and was not there."""
        self.unled: set[str] = set()
        self.ended: set[str] = set()

    def run(self, journal: str, id: str) -> None:
        if journal in self.ended:
            raise NotFound(f"journal {journal} has ended")
        if journal in self.unled:
            raise Unavailable("no answer to run within 10 s: nobody leads the journal of this saga")
        if (saga := f"{journal}.{id}") not in self.begun:
            self.begun.append(saga)


class At(NotingPublisher):
    """The registry at one of these sidecars. `dies`: in which call the relay ends, and whether before or after it."""

    def __init__(self, world: World, journal: str, dies: str = "") -> None:
        super().__init__()
        self.world, self.journal, self.dies = world, journal, dies
        self.asked = 0

    def saga_journal(self, *, timeout: float = 10.0) -> str:
        assert timeout > 0
        self.asked += 1
        self._dying("journal", lambda: None)
        return self.journal

    def run_saga(self, **named: Any) -> Any:
        assert named["timeout"] > 0
        self._dying("run", lambda: self.world.run(named["journal"], named["id"]))

    def _dying(self, call: str, does: Callable[[], None]) -> None:
        if self.dies == f"before {call}":
            raise Killed
        does()
        if self.dies == f"after {call}":
            raise Killed


def send(database: Database, registry: object) -> None:
    relay_once(database.connect, registry)  # type: ignore[arg-type]  # it has what a relay needs


def source(database: Database) -> list[str | None]:
    return [journal for (journal,) in database.query("SELECT source FROM gossipreg_outbox")]


DEATHS = st.sampled_from(["before journal", "after journal", "before run", "after run", "lost"])


@settings(deadline=None, max_examples=30)
@given(attempts=st.lists(st.tuples(st.sampled_from("abc"), DEATHS), max_size=5), last=st.sampled_from("abc"))
def test_a_saga_begins_once_wherever_its_relay_dies(
    tmp_path_factory: pytest.TempPathFactory, attempts: list[tuple[str, str]], last: str
) -> None:
    database = with_tables(sqlite_database(str(tmp_path_factory.mktemp("shop") / "shop.db")))
    world = World()
    begin(database, (TOML, {"item": "tea"}), id="s1")
    for journal, dies in attempts:
        registry = At(world, journal, dies)
        if dies == "lost":
            registry.run_saga = answer_lost(registry)  # type: ignore[method-assign]
        with suppress(Killed, OutcomeUnknown):
            send(database, registry)
    send(database, At(world, last))
    assert database.waiting == 0
    assert len(world.begun) == 1


def answer_lost(registry: At) -> Callable[..., Any]:
    run = registry.run_saga

    def lost(*given: Any, **named: Any) -> None:
        run(*given, **named)
        raise OutcomeUnknown("no answer")

    return lost


def test_the_row_names_the_journal_before_the_saga_begins(database: Database) -> None:
    world = World()
    begin(database, (TOML, {"item": "tea"}), id="s1")
    with pytest.raises(Killed):
        send(database, At(world, "a", "before run"))
    assert (source(database), world.begun) == (["a"], [])
    other = At(world, "b")
    send(database, other)
    assert (world.begun, other.asked) == (["a.s1"], 0)


def test_a_journal_that_has_ended_is_replaced(database: Database) -> None:
    world = World()
    begin(database, (TOML, {"item": "tea"}), id="s1")
    with pytest.raises(Killed):
        send(database, At(world, "a", "before run"))
    world.ended.add("a")
    with pytest.raises(Killed):
        send(database, At(world, "b", "before journal"))
    assert source(database) == ["a"]
    send(database, At(world, "b"))
    assert (world.begun, database.waiting) == (["b.s1"], 0)


def test_a_journal_that_nobody_leads_says_what_to_do(database: Database) -> None:
    world = World()
    begin(database, (TOML, {"item": "tea"}), ({"name": "ask", "step": [STEP]}, None))
    [(number, id), _] = database.query("SELECT number, id FROM gossipreg_outbox ORDER BY number")
    with pytest.raises(Killed):
        send(database, At(world, "a", "after run"))
    world.unled.add("a")
    with pytest.raises(Unavailable) as caught:
        send(database, At(world, "b"))
    text = str(caught.value)
    assert "nobody leads the journal of this saga. Row " in text
    assert f'Row {number} of "gossipreg_outbox" waits: saga {id} may be begun in journal a' in text
    assert text.endswith("delete the row, else set its source to NULL and it begins in another journal")
    assert "\n" not in text
    assert (database.waiting, world.begun) == (2, [f"a.{id}"]), "none overtakes"
    database.execute(f"UPDATE gossipreg_outbox SET source = NULL WHERE number = {number}")
    send(database, At(world, "b"))
    assert (len(world.begun), database.waiting) == (3, 0)


def test_a_row_that_changed_meanwhile_is_not_begun(database: Database) -> None:
    """A relay that stood still for longer than its lease, and another one that went on."""
    world = World()
    begin(database, (TOML, {"item": "tea"}), id="s1")
    registry = At(world, "a")

    def journal(**_: Any) -> str:
        database.execute("UPDATE gossipreg_outbox SET source = 'b'")
        return "a"

    registry.saga_journal = journal  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="was changed meanwhile, as by another relay"):
        send(database, registry)
    assert (world.begun, source(database)) == ([], ["b"])


def test_an_older_sidecar_has_the_row_wait(database: Database) -> None:
    """It knows neither the method nor the parameter; neither is the fault of the row."""
    begin(database, (TOML, {"item": "tea"}), id="s1")

    class Older(At):
        def saga_journal(self, **_: Any) -> str:
            raise UnknownMethod("no method 'saga-journal': the methods are ...")

        def run_saga(self, **_: Any) -> Any:
            raise BadParams("saga-run has no parameter 'journal'")

    for _ in range(2):
        with pytest.raises(UnknownMethod, match=r"of an older release, which cannot say .*: update it, and the row"):
            send(database, Older(World(), "a"))
        assert database.waiting == 1
        database.execute("UPDATE gossipreg_outbox SET source = 'b'")


def test_a_saga_that_its_journal_refuses_is_set_aside(database: Database) -> None:
    begin(database, (TOML, {"item": "tea"}), id="s1")

    class Refusing(At):
        def run_saga(self, **_: Any) -> Any:
            raise BadParams("step 'reserve' is wrong")

    send(database, Refusing(World(), "a"))
    assert database.query("SELECT refused FROM gossipreg_outbox") == [("bad_params: step 'reserve' is wrong",)]


def test_a_sidecar_without_a_disk_repeats_what_another_began(tmp_path: Path, database: Database) -> None:
    """It leads no journal, and forwards to whoever leads that of the row."""
    begin(database, (TOML, {"item": "tea"}), id="s1")
    with pytest.raises(Killed):
        send(database, At(World(), "ab" * 16, "after run"))

    def no_disk(_: Any) -> None:
        raise NoDataDirectory("this sidecar keeps nothing")

    with SagaSidecar(tmp_path / "s.sock") as sidecar, gossipreg.connect(str(sidecar.path)) as registry:
        sidecar.usual |= {"saga-run": lambda params: begun(params) | {"exists": True}, "saga-journal": no_disk}
        send(database, registry)
        assert [params["journal"] for params in sidecar.params("saga-run")] == ["ab" * 16]
    assert database.waiting == 0
