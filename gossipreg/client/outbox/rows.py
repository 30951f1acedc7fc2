"""An event as a row of the outbox, and the call that publishes it.

Owns: what is kept of an event. Never knows: a database.

The row fixes all that makes the event: its id and its time are drawn when it is written. So whenever it is sent again
it is the same event for the journal, which answers a repeat and refuses other content under the same id. Data is kept
in the form in which the program gave it, since the registry chooses the content type by that form.
"""

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self
from uuid import uuid4

from gossipreg.client.checks import check_text
from gossipreg.client.events.inheriting import with_inherited
from gossipreg.errors import BadParams
from gossipreg.events.cloud_event import PARTITION_KEY, make_event

NONE, BYTES, TEXT, JSON = "none", "bytes", "text", "json"
SAGA = "saga"
"""The form of a row that begins a saga: `saga_rows.py`."""
_ANY_SOURCE = "-"
"""Stands for the registry's own source while a row without one is checked."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    id: str
    type: str
    source: str | None
    """None: the registry's."""
    subject: str | None
    key: str | None
    datacontenttype: str | None
    time: str
    extensions: str | None
    """JSON."""
    form: str
    data: bytes | None

    @property
    def values(self) -> tuple[object, ...]:
        return astuple(self)

    @classmethod
    def read(cls, values: tuple[Any, ...]) -> Self:
        """psycopg gives text as bytes where the database has no encoding (SQL_ASCII)."""
        texts = tuple(text.decode() if isinstance(text, bytes) else text for text in values[:-1])
        values = (*texts, values[-1])
        return cls(*values)

    def call(self) -> dict[str, Any]:
        """The arguments of `Publisher.publish`. Raises ValueError if a person or a program has damaged the row."""
        try:
            data = _decoded(self.form, self.data)
            extensions = None if self.extensions is None else json.loads(self.extensions)
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(f"this row of the outbox is damaged: {error}") from error
        return {
            "type": self.type, "data": data, "id": self.id, "source": self.source, "key": self.key,
            "subject": self.subject, "datacontenttype": self.datacontenttype, "time": self.time,
            "extensions": extensions,
        }  # fmt: skip


COLUMNS = tuple(field.name for field in fields(OutboxRow))


def make_row(
    type: str, data: object, *, id: str | None, source: str | None, key: str | None, subject: str | None,
    datacontenttype: str | None, time: str | None, extensions: Mapping[str, str] | None,
) -> OutboxRow:  # fmt: skip
    """A row, with what it inherits of the event that is handled now: its relay does not know that event. Raises
    BadParams or TooLarge for what no journal would take: the program learns it before it commits."""
    if not isinstance(type, str):
        raise BadParams(f"type is {type!r}: give the type of the event as text, such as order.created")
    texts = {"id": id, "source": source, "key": key, "subject": subject}
    for name, value in {**texts, "datacontenttype": datacontenttype, "time": time}.items():
        check_text(name, value, f"the {name} of the event as text")
    given = with_inherited(_checked_extensions(extensions))
    if key is not None and given.get(PARTITION_KEY, key) != key:
        raise BadParams(f"key is {key!r} and extension {PARTITION_KEY} {given[PARTITION_KEY]!r}: give one of them")
    form, payload = _encoded(data)
    id = uuid4().hex if id is None else id
    time = time or datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    make_event(
        id, _ANY_SOURCE if source is None else source, type, payload, datacontenttype=datacontenttype or "",
        subject=subject or "", time=time, extensions=given if key is None else {**given, PARTITION_KEY: key},
    )  # fmt: skip
    kept = json.dumps(given, separators=(",", ":")) if given else None
    return OutboxRow(id, type, source, subject, key, datacontenttype, time, kept, form, payload)


def _checked_extensions(extensions: Mapping[str, str] | None) -> dict[str, str]:
    if extensions is None:
        return {}
    if not isinstance(extensions, Mapping):
        raise BadParams(f"extensions are {extensions!r}: give a mapping of names to texts")
    for name, value in extensions.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise BadParams(f"extension {name!r} is {value!r}: give a text with a name that is text")
    return dict(extensions)


def _encoded(data: object) -> tuple[str, bytes | None]:
    if data is None:
        return NONE, None
    if isinstance(data, bytes | bytearray | memoryview):
        return BYTES, bytes(data)
    try:
        if isinstance(data, str):
            return TEXT, data.encode()
        return JSON, json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadParams(f"data cannot be sent ({error}): give bytes, text, or what JSON can hold") from None


def _decoded(form: str, data: bytes | None) -> object:
    if form == NONE:
        return None
    if data is None:
        raise ValueError(f"form is {form!r}, and there is no data")
    if form == BYTES:
        return data
    if form == TEXT:
        return data.decode()
    if form == JSON:
        return json.loads(data)
    raise ValueError(f"form is {form!r}, and this release knows none of that name")
