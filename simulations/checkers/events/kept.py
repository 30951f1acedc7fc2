"""Invariant: a group that begins with the events that are kept gets each of them."""

from gossipreg.journal.effects import JournalEffect
from simulations.checkers.events.checker import EventChecker
from simulations.eventing.process import EventProcess


class KeptEvents(EventChecker):
    """The entry that adds such a group to a journal has it wait for all events of its patterns whose keep time is not
    over; from then on they are its own (`every_group_handles`). At rest it is in every journal that keeps events."""

    name = "kept_events"

    def on_journal(self, process: EventProcess, effect: JournalEffect) -> None:  # noqa: ARG002  the ledger has it
        for (journal, entry), (wanted, got) in self.ledger.kept_added.items():
            if wanted != got:
                what = (
                    f"entry {entry} of journal {journal.hex()[:8]} gives its new groups the kept events {sorted(got)}"
                )
                self.fail(f"{what}, and not {sorted(wanted)}", process.host)
        self.ledger.kept_added.clear()

    def at_rest(self) -> None:
        names = {subscriber.group for subscriber in self.eventing.subscribers if subscriber.past}
        for process in self.eventing.running():
            for journal, led in process.events.led.items():
                if led.machine.has_kept and (missing := names - led.machine.groups.keys()):
                    what = f"journal {journal.hex()[:8]} keeps events, and at rest does not know {sorted(missing)}"
                    self.fail(what, process.host)
