"""Sagas and events are kept in the same records of a journal, and neither sees those of the other."""

from gossipreg.events.machine import EventsMachine
from gossipreg.events.stored_events import payload_key
from gossipreg.events.tuning import EventsTuning
from gossipreg.journal.combined import CombinedMachine
from gossipreg.journal.state import Records, is_large
from gossipreg.sagas.machine import SagasMachine
from gossipreg.sagas.saga_story import story_key
from gossipreg.sagas.saga_tuning import SagaTuning
from tests.events.machines import MachineByHand, new_event
from tests.events.machines import shown as shown_events
from tests.sagas.saga_machines import SagasByHand, begun, intent, shown

IDS = ("E", "N", "1234567", "x" * 128)
"""1234567: the key of its story is as long as that of an event."""


def history(events: MachineByHand, sagas: SagasByHand) -> None:
    for id in IDS:
        sagas.begin(begun(id))
        sagas.intend(intent("reserve"), intent("mail", after=True), saga=id)
        events.publish(new_event(id), new_event(id + "kept", keep_ms=1000), groups=[("billing", ">")])
        sagas.result("reserve", saga=id)
    sagas.commit("E")
    for id in IDS[1:]:
        sagas.abort(id)
    sagas.undone("reserve", saga="1234567")
    events.ack(1, next(iter(events.machine.events)))


def test_sagas_and_events_share_records_without_meeting() -> None:
    alone, together = (MachineByHand(), SagasByHand()), (MachineByHand(), SagasByHand())
    together[0].records = together[1].records
    history(*alone)
    history(*together)
    everything = together[1].records.everything
    assert everything == alone[0].records.everything | alone[1].records.everything
    assert len(everything) == len(alone[0].records.everything) + len(alone[1].records.everything)
    events, sagas = EventsMachine(EventsTuning()), SagasMachine(SagaTuning())
    combined = CombinedMachine((events, sagas))
    combined.load(Records({key: value for key, value in everything.items() if not is_large(key)}))
    assert shown(sagas) == shown(alone[1].machine)
    assert shown_events(events) == shown_events(alone[0].machine)
    assert sorted(sagas.open) == ["E", "N", "x" * 128]


def test_no_story_has_the_key_of_an_event() -> None:
    """The indexes of events are far below those whose first byte is that of a story."""
    assert story_key("1234567") == payload_key(int.from_bytes(b"S1234567", "big"))
    assert int.from_bytes(b"S", "big") << 56 > 2**62
