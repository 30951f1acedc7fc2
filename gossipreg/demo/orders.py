"""What the customers ordered, and what came of it: the truth that the books are compared with."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What came of one order, as the customer saw it."""

    order: str
    status: int | None
    """Of HTTP; 0: no instance was asked; None: there was no answer."""
    why: str
    took_ms: float


@dataclass(slots=True)
class Orders:
    """All orders of this demonstration so far."""

    created: dict[str, OrderOutcome] = field(default_factory=dict)
    refused: dict[str, OrderOutcome] = field(default_factory=dict)
    """A service refused its step, or nobody was asked: nothing may be left of it."""
    unanswered: dict[str, OrderOutcome] = field(default_factory=dict)
    """The customer does not know: all of it must be there, or nothing."""

    def take(self, line: bytes) -> OrderOutcome:
        """Take a line of `shop/customers.py`."""
        said: dict[str, Any] = json.loads(line)
        outcome = OrderOutcome(said["order"], said["status"], said["why"], said["ms"])
        match outcome.status:
            case 201:
                self.created[outcome.order] = outcome
            case 422 | 0:
                self.refused[outcome.order] = outcome
            case _:
                self.unanswered[outcome.order] = outcome
        return outcome

    def __len__(self) -> int:
        return len(self.created) + len(self.refused) + len(self.unanswered)


def median_ms(outcomes: list[OrderOutcome]) -> float:
    """Half of these took at most so long."""
    took = sorted(one.took_ms for one in outcomes)
    return took[len(took) // 2] if took else 0.0
