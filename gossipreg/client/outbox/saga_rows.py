"""A declared saga as a row of the outbox, and the call that begins it.

Owns: what is kept of a saga. Never knows: a database. It is checked when it is written: a definition that no journal
would take is refused before the program commits. Its id is drawn then too. `source` is the journal in which it is
begun: `saga_sending.py` writes it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from gossipreg.client.checks import check_text
from gossipreg.client.events.inheriting import inherited_trace
from gossipreg.client.outbox.rows import SAGA, OutboxRow
from gossipreg.errors import BadParams, TooLarge
from gossipreg.sagas.saga_definition import check_input, definition_map, definition_untrusted, read_definition
from gossipreg.sagas.saga_model import (
    MAX_INPUT_BYTES,
    MAX_SAGA_BYTES,
    SAGA_ID,
)

Definition = Mapping[str, Any] | str | bytes
"""A map, or TOML or JSON."""


def make_saga_row(definition: Definition, input: object, id: str | None) -> OutboxRow:
    """A row, with the trace of the event that is handled now. Raises BadParams, TooLarge."""
    check_text("id", id, "what names the saga")
    if id is not None and (not SAGA_ID.fullmatch(id) or len(id) > MAX_SAGA_BYTES):
        raise BadParams(f"id is {id!r}: use up to {MAX_SAGA_BYTES} letters, digits and _:@=+-. (a dot not first)")
    if isinstance(definition, str | bytes):
        data = _encoded(definition) if isinstance(definition, str) else definition
        found = read_definition(data, toml=not data.lstrip().startswith(b"{"))
    else:
        found = definition_untrusted(definition)
    text = _json(input)
    check_input(found, text)
    kept = {"definition": definition_map(found, binary=False), "input": json.loads(text)}
    kept |= inherited_trace()
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    row = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    return OutboxRow(id or uuid4().hex, found.name, None, None, None, None, time, None, SAGA, row)


def saga_call(row: OutboxRow) -> dict[str, Any]:
    """The arguments of `SagaStarter.run_saga`. Raises ValueError if a person or a program has damaged the row."""
    try:
        kept = json.loads(row.data or b"")
        return {
            "definition": kept["definition"], "input": kept["input"], "id": row.id,
            "traceparent": kept.get("traceparent"),
            **({"tracestate": kept["tracestate"]} if "tracestate" in kept else {}),
        }  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this row of the outbox is damaged: {error}") from error


def _encoded(definition: str) -> bytes:
    try:
        return definition.encode()
    except UnicodeEncodeError as error:
        raise BadParams(f"definition is no text that has a form in UTF-8: {error}") from None


def _json(input: object) -> bytes:
    try:
        text = json.dumps(input, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"input has no form in JSON: {error}") from None
    if len(text) > MAX_INPUT_BYTES:
        raise TooLarge(f"input has {len(text):,} bytes: give at most {MAX_INPUT_BYTES:,}, and keep the rest apart")
    return text
