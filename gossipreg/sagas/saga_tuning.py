"""The settings of sagas: times in seconds. Those that decide replicated state have to be the same on every member."""

from dataclasses import dataclass
from typing import ClassVar

from gossipreg.journal.proven_questions import PROVE_S
from gossipreg.retry import Retry
from gossipreg.tuning import Bounds, check_bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaTuning:
    timeout_s: float = 60.0
    """Of a saga, from its beginning to its decision, where its program or definition names none."""
    step_timeout_s: float = 30.0
    attempt_timeout_s: float = 5.0
    again_first_s: float = 0.25
    again_longest_s: float = 5.0
    """Between attempts of a step."""
    undo_again_first_s: float = 1.0
    undo_again_longest_s: float = 60.0
    """Between attempts of an undo, or of what comes after the commit."""
    stuck_attempts: int = 20
    """Attempts of an undo, or of what comes after the commit, until it counts as stuck: a person should look after
    about 15 minutes."""
    stuck_after_s: float = 900.0
    """The time after which it counts as stuck with fewer attempts, since a service asks for long waits, or answers
    late."""
    stuck_again_s: float = 300.0
    """Between attempts of what is stuck."""
    lost_s: float = 10.0
    """The time that a lost program has to come back before its saga is aborted."""
    prove_again_s: float = 1.0
    """Until a proof of leadership that has not come is asked for once more."""
    commands_at_once: int = 256
    """Commands of one journal that may be unanswered; more wait."""
    kept_s: float = 86_400.0
    """Led time for which a journal remembers a saga that has ended, unless MAX_ENDED_SAGAS others have ended since.
    After that its id may be begun anew."""
    call_timeout_s: float = 10.0
    """How long a call waits for a leader, beside the time of the step itself."""
    survey_timeout_s: float = 3.0
    """How long all leaders have to say which sagas they have; those that have not are named. As for events. For half of
    it, PROVE_S, leaders wait for proofs."""

    BOUNDS: ClassVar[Bounds] = {
        "timeout_s": (0.1, 2_592_000.0), "step_timeout_s": (0.05, 86_400.0), "attempt_timeout_s": (0.05, 3600.0),
        "again_first_s": (0.01, 60.0), "again_longest_s": (0.01, 3600.0), "undo_again_first_s": (0.01, 60.0),
        "undo_again_longest_s": (0.01, 3600.0), "stuck_attempts": (1, 100_000), "stuck_after_s": (1.0, 2_592_000.0),
        "stuck_again_s": (0.1, 86_400.0),
        "lost_s": (0.1, 3600.0), "prove_again_s": (0.05, 60.0), "commands_at_once": (1, 100_000),
        "kept_s": (1.0, 2_592_000.0), "call_timeout_s": (0.1, 3600.0), "survey_timeout_s": (2 * PROVE_S, 3600.0),
    }  # fmt: skip

    def __post_init__(self) -> None:
        check_bounds(self, self.BOUNDS, "sagas.")

    @property
    def again(self) -> Retry:
        return Retry(self.again_first_s, self.again_longest_s)

    @property
    def undo_again(self) -> Retry:
        return Retry(self.undo_again_first_s, self.undo_again_longest_s)


default = SagaTuning()
