"""The play: which command comes when, and what is said before it. Every figure that follows is measured by then."""

from dataclasses import dataclass

PLAY_S = 90.0
SHORTEST_S = 10.0
LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True)
class Scene:
    """Begins when this share of the play is over, or as soon as the scene before it has ended."""

    share: float
    text: str
    commands: tuple[str, ...]


SCENES = (
    Scene(0.0, "Customers order at the shop. Each order is a saga, and an event once it is created.", ("load 5",)),
    Scene(0.13, "A host dies without a word. stock has another instance, so the orders go on.",
          ("orders", "kill host-3")),
    Scene(0.27, "It comes back.", ("orders", "restart host-3")),
    Scene(0.40, "A customer whose card is declined: goods are reserved by then.", ("fail-payment",)),
    Scene(0.52, "A host stands still for a second. It must not be taken for dead.",
          ("pause host-4", "wait 1s", "resume host-4")),
    Scene(0.62, "Two sidecars cannot reach each other, but all others reach both.", ("cut host-4 host-5", "heal")),
    Scene(0.78, "Now a host is cut off from all others.", ("cut host-5", "heal")),
    Scene(0.97, "The customers stop, and the books are opened: is an order lost, or half done?", ("load 0", "books")),
)  # fmt: skip
