"""What the operator hears of sagas: lines of the log, and troubles in `info` for as long as they last.

Owns: the words.
"""

from collections import Counter
from collections.abc import Sequence

from gossipreg.daemon.logs import Field, Log
from gossipreg.daemon.sagas.sagas_shown import StuckStep
from gossipreg.daemon.troubles import Troubles
from gossipreg.sagas.saga_effects import CommandDone, LogSagas

SECRET_S = 600.0
"""For how long `info` shows that a secret is missing, after the last command that needed it: those of an undo that is
stuck come every 5 minutes."""
LINES_A_MINUTE = 16
"""Lines of the log of one kind, such as saga_stuck: without a bound there may be one for every saga."""
MAX_MISSING_SECRETS = 16
"""Names that are remembered until the secret is found; beyond that the oldest is forgotten."""
NAMED = 3
"""Steps that one line names."""
_COUNTED = {
    "saga_stuck": "sagas.stuck_steps",
    "saga_by_hand": "sagas.decided_by_hand",
    "saga_not_undone": "sagas.steps_not_undone",
}
"""What the sagas say and do not count themselves."""


class SagaReports:
    def __init__(self, log: Log, troubles: Troubles) -> None:
        self._log = log
        self._troubles = troubles
        self._missing: dict[str, str] = {}
        """Secrets that could not be used, by name."""
        self.counts: Counter[str] = Counter()

    def event(self, event: LogSagas) -> None:
        """What the sagas of the journals that are led here say themselves."""
        fields: dict[str, Field] = dict(event.fields)
        if event.kind in _COUNTED:
            self.counts[_COUNTED[event.kind]] += 1
        if event.kind == "saga_not_undone":
            fields["message"] = (
                f"the saga is aborted, and this step has no undo: what it did, or may have done, stays: "
                f"`gossipreg saga show {fields.get('saga')}`"
            )
            self._log.line("warning", "saga_not_undone", fields, kind_burst=LINES_A_MINUTE)
        elif event.kind == "saga_stuck":
            fields["message"] = (
                f"it is retried every 5 minutes, and a person should look: `gossipreg saga show {fields.get('saga')}`"
            )
            self._log.line("warning", "saga_stuck", fields, kind_burst=LINES_A_MINUTE)
        else:
            self._log.line("info", event.kind, fields, kind_burst=LINES_A_MINUTE)

    def by_hand(self, decision: str, saga: str, step: str, why: str, by: dict[str, Field]) -> None:
        """A person here has decided about a step."""
        fields: dict[str, Field] = {"decision": decision, "saga": saga, "step": step, "why": why, **by}
        self._log.line("info", "saga_decided_here", fields)

    def command(self, done: CommandDone) -> None:
        """What came of a command."""
        what = "unsent" if not done.sent else "unanswered" if not done.status else "answered"
        self.counts[f"sagas.commands_{what}"] += 1

    # -- troubles ----------------------------------------------------------------------------------------------------

    def stuck(self, steps: Sequence[StuckStep]) -> None:
        """The steps that a person has to look at."""
        if not steps:
            self._troubles.over("saga_stuck")
            return
        named = ", ".join(map(str, steps[:NAMED]))
        more = f" and {len(steps) - NAMED} more" if len(steps) > NAMED else ""
        message = f"sagas that are stuck: {named}{more}: see `gossipreg saga show {steps[0].saga}`"
        self._troubles.saw("saga_stuck", message, lasting=True)

    def secret_missing(self, name: str, message: str) -> None:
        self.counts["sagas.secrets_missing"] += 1
        self._missing[name[:64]] = message
        if len(self._missing) > MAX_MISSING_SECRETS:
            del self._missing[next(iter(self._missing))]
        self._troubles.saw("secret_missing", f"a step of a saga is not sent: {message}", for_s=SECRET_S)
        self._log.line("error", "secret_missing", {"message": message}, repeat_key=f"secret_missing {name[:64]}")

    def secret_found(self, name: str) -> None:
        """It was read."""
        if self._missing.pop(name[:64], None) is not None and not self._missing:
            self._troubles.over("secret_missing")
