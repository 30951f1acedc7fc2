"""The refusal, or the mark, of an answer while this sidecar does not know the whole table.

Owns the rule of this gateway. While the table is not known (`View.knowledge`), reads of the cluster get the answer of a
Consul agent without a leader: 500, "No cluster leader", `X-Consul-KnownLeader: false`. Consumers then keep what they
have, where an empty list would make them throw it away. The exception is a service that is registered here: it is
answered with what is known of it, and marked (`X-Gossipreg-Partial: true`). While the table kept from the last run
answers, only an empty answer to a question about one name is refused: that table cannot say that there is none.
"""

from gossipreg.core.view import View
from gossipreg.gateway.http.route import About
from gossipreg.gateway.http.spellings import folded
from gossipreg.net.http_message import HttpError

KNOWN_LEADER = "X-Consul-KnownLeader"
PARTIAL = "X-Gossipreg-Partial"
WHY = "X-Gossipreg-Not-Synced"


def headers(view: View) -> tuple[tuple[str, str], ...]:
    """A header of every answer below /v1."""
    knowledge = view.knowledge
    known = (KNOWN_LEADER, "true" if knowledge.current else "false")
    return (known, (PARTIAL, "true")) if knowledge.partial else (known,)


def no_leader(view: View, now: float) -> HttpError:
    """The error itself, in Consul's words: clients know it by them."""
    why = view.why_not_synced(now).encode("ascii", "replace").decode()
    return HttpError(500, "not_synced", "No cluster leader", (KNOWN_LEADER, "false"), (WHY, why))


def check_question(view: View, about: About, args: tuple[str, ...], now: float) -> None:
    """Raise HttpError if this question cannot be answered, whatever is found."""
    if not view.knowledge.refuses or about in (About.NOTHING, About.NODE):
        return
    if about is not About.SERVICE or not registered_here(view, args[0]):
        raise no_leader(view, now)


def check_answer(view: View, about: About, value: object, now: float) -> None:
    """Raise HttpError if this value would deny that there is anything while that is not known."""
    if not view.knowledge.partial or about not in (About.SERVICE, About.NODE):
        return
    if not value or (isinstance(value, dict) and value.get("Node", True) is None):
        raise no_leader(view, now)


def registered_here(view: View, name: str) -> bool:
    return any(folded(one.service.name) == folded(name) for one in view.catalog.of_node(view.id))
