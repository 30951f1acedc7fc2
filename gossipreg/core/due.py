"""The timers of a node: which part acts when which timer is due.

Owns: the table from each timer to its part. Never knows: when a timer is set, or what an input does before and after
the part acts (`node.py`).
"""

from gossipreg.core.commands import NodeCommands
from gossipreg.core.departure import Departing
from gossipreg.core.detector import Period, ProbeDue
from gossipreg.core.fetch import PullAgain
from gossipreg.core.isolation import AloneOver
from gossipreg.core.join import ListAgain, MissingAgain
from gossipreg.core.last_known import LastKnown, LastKnownOver
from gossipreg.core.lost import Forsaken, Seek
from gossipreg.core.reconcile import Compare, Reconcile
from gossipreg.core.returning import Return
from gossipreg.core.row_acks import AskForAcks
from gossipreg.core.rumours import GiveReceipts, Repeat, Tell
from gossipreg.core.twins import Rise, Twins
from gossipreg.core.unproven import Prove, Unproven
from gossipreg.model import NodeId


class NodeTimers(NodeCommands):
    _last_known: LastKnown
    _reconcile: Reconcile
    _twins: Twins
    _unproven: Unproven

    def _on_due(self, name: object, due: float) -> None:
        """Call the part whose timer `name` was due at `due`."""
        match name:
            case Period():
                self._detector.on_period(due)
                self._lost.on_period()
                self._fetch.look()
                self._commons.replica.expire(self._commons.now)
            case ProbeDue():
                self._detector.on_probe_due(name.number)
            case Tell():
                self._rumours.on_tell()
            case Repeat():
                self._rumours.on_repeat(name.peer)
            case GiveReceipts():
                self._rumours.on_give_receipts(name.peer)
            case PullAgain():
                self._fetch.on_pull_again(name.id)
                self._prove_if_in_doubt(name.id)
                self._joining.arrived(name.id)
            case Compare():
                self._reconcile.on_compare(name)
            case ListAgain():
                self._joining.on_list_again()
            case MissingAgain():
                self._joining.on_missing_again()
            case Seek():
                self._lost.on_seek()
            case LastKnownOver():
                self._last_known.on_over()
            case Forsaken():
                self._joining.without_others()
            case Prove():
                self._unproven.on_prove()
            case Rise():
                self._twins.on_rise()
            case AloneOver():
                self._isolation.on_alone_over()
            case Return():
                self._intake.on_return()
            case Departing():
                self._departure.on_departing(name)
            case AskForAcks():
                self._row_acks.on_ask()
            case _:
                if not self._paths.on_timer(name):
                    self._suspicions.on_timer(name)

    def _prove_if_in_doubt(self, id: NodeId) -> None:
        """A page of an unproven row came, or a claim that it lives after all, or nobody gives its rest: its owner is to
        answer for it."""
        row = self._commons.replica.rows.get(id)
        if row is not None and row.unproven and not row.dead:
            self._unproven.add(id)
