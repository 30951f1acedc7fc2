"""The timers of a node: which part acts when which timer is due.

Owns: the table from each timer to its part. Never knows: when a timer is set, or what an input does before and after
the part acts (`node.py`).
"""

from gossipreg.core.failure.flap_damping import Return
from gossipreg.core.failure.isolation import AloneOver
from gossipreg.core.failure.prober import Period
from gossipreg.core.failure.quarantine import ProbeOwners
from gossipreg.core.gossip.dissemination import Disseminate, Retransmit
from gossipreg.core.gossip.join import ListAgain, ListAnother, MissingAgain
from gossipreg.core.gossip.pulls import PullAgain
from gossipreg.core.gossip.receipts import SendReceipts
from gossipreg.core.gossip.reconcile import Compare
from gossipreg.core.gossip.row_acks import RequestAcks
from gossipreg.core.local.identity_conflict import RaiseGeneration
from gossipreg.core.local.last_known import LastKnownOver
from gossipreg.core.local.leaving import Departing
from gossipreg.core.order import NodeOrder
from gossipreg.core.session.reconnect import GreetSeeds, RememberedSilent


class NodeTimers(NodeOrder):
    def _on_due(self, name: object, due: float) -> None:
        """Call the part whose timer `name` was due at `due`."""
        match name:
            case Period():
                self._follow_detector(self._detector.on_timer(name, due))
                self._reconnect.on_period()
                self._pulls.on_period()
                self.table.expire(self._context.now)
                if self.table.has_room_again():
                    self._context.event("table_full_over")
            case Disseminate():
                self._dissemination.on_disseminate()
            case Retransmit():
                self._dissemination.on_retransmit(name.peer)
            case SendReceipts():
                self._receipts.on_send_receipts()
            case PullAgain():
                self._pulls.on_pull_again(name.id)
                self._ping_if_quarantined(name.id)
                self._joining.on_row(name.id)
            case Compare():
                self._anti_entropy.on_compare(name)
            case ListAgain():
                self._joining.on_list_again()
            case ListAnother():
                if self._joining.wants_another:
                    self._reconnect.greet_silent()
                    self._joining.on_list_another()
            case MissingAgain():
                self._joining.on_missing_again()
            case GreetSeeds():
                self._reconnect.on_greet_seeds()
            case LastKnownOver():
                self._last_known.on_over()
            case RememberedSilent():
                self._joining.start_alone()
            case ProbeOwners():
                self._quarantine.on_probe_owners()
            case RaiseGeneration():
                self._identity_conflict.on_raise_generation()
            case AloneOver():
                self._isolation.on_alone_over()
            case Return():
                self._about_us.on_return()
            case Departing():
                self._departure.on_departing(name)
            case RequestAcks():
                self._row_acks.on_request_acks()
            case _:
                if not self._paths.on_timer(name):
                    self._follow_detector(self._detector.on_timer(name, due))
