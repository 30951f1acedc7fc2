"""The call that begins a declared saga, and what its failure says. No I/O."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from gossipreg.client.checks import check_number, check_text, id_or_drawn
from gossipreg.client.events.inheriting import given_trace
from gossipreg.client.sagas.saga_call import ProgramCall
from gossipreg.client.sagas.saga_step import json_text
from gossipreg.errors import BadParams, Conflict, GossipregError, OutcomeUnknown, SagaConflict


def run_call(
    definition: Mapping[str, Any] | str,
    input: object,
    id: str | None,
    traceparent: str | None,
    timeout_s: float,
    tracestate: str | None = None,
    journal: str | None = None,
) -> ProgramCall:
    """Raises BadParams."""
    if not isinstance(definition, Mapping | str):
        raise BadParams(f"definition is {definition!r:.100}: give a map, or TOML or JSON as text")
    check_number("timeout", timeout_s, "the seconds that a begin may take")
    params: dict[str, Any] = {
        "definition": definition if isinstance(definition, str) else _as_text(definition),
        "id": id_or_drawn(id, "what names the saga"),
    }
    if input is not None:
        params["input"] = json_text("input", input).encode()
    if journal is not None:
        check_text("journal", journal, "the id of a journal")
        params["journal"] = journal
    params |= given_trace(traceparent, tracestate)
    return ProgramCall("saga-run", params, monotonic(), timeout_s)


def journal_call(timeout_s: float) -> ProgramCall:
    """Raises BadParams."""
    check_number("timeout", timeout_s, "the seconds that the question may take")
    return ProgramCall("saga-journal", {}, monotonic(), timeout_s)


def _as_text(definition: Mapping[str, Any]) -> str | dict[str, Any]:
    """As JSON, since a request nests less deep than the JSON of a step may; as it is where it has bytes."""
    try:
        return json_text("definition", dict(definition))
    except BadParams:
        return dict(definition)


def run_failed(call: ProgramCall, error: GossipregError) -> GossipregError:
    """The program's error for a run that was not answered well."""
    id = call.params["id"]
    if isinstance(error, Conflict):
        return SagaConflict(f"another saga has the id {id}: {error}")
    if call.is_unclear(error):
        return OutcomeUnknown(
            f"the saga may be begun or not: no answer within {call.timeout_s:g} s; begin it again with id={id!r} at "
            f"the same sidecar, it counts once ({error})"
        )
    return error
