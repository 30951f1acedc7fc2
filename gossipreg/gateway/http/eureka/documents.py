"""JSON and XML bodies to plain values and back, as Eureka's clients write and read them.

Owns the bounds of what is read: a body has at most DEPTH_MAX levels and ELEMENTS_MAX values, and an XML body has no
DOCTYPE, so that no entity can be declared or fetched. The gateway has already bounded the size (framing). Never knows
what a document means.

Both forms become the same value: an XML element with attributes is a map with `@name` keys, its text is under `$`. So
`<port enabled="true">80</port>` is `{"$": "80", "@enabled": "true"}`, which is how Eureka writes a port in JSON.
"""

import json
import re
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from gossipreg.net.http_message import Response, bad_request
from gossipreg.strict_json import RepeatedName, unique_names

DEPTH_MAX = 16
"""Levels of a document. A registration has five: instance, dataCenterInfo, metadata, key, text."""
ELEMENTS_MAX = 4096
"""Values in a document. A registration has about 30, and as many as it has metadata."""

JSON_TYPE = "application/json"
XML_TYPE = "application/xml"

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot carry, not even escaped (section 2.2)."""
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]")
_NO_BEGIN_OF_A_NAME = re.compile(r"[^A-Za-z_]")


def read_document_untrusted(body: bytes, content_type: str, root: str) -> dict[str, Any]:
    """The map below `root`, from XML or JSON. A body without a known type is XML if it begins with `<`. Raises
    HttpError, 400."""
    plain = content_type.lower()
    as_xml = "xml" in plain if "xml" in plain or "json" in plain else body.lstrip().startswith(b"<")
    document = _read_xml_untrusted(body) if as_xml else _read_json_untrusted(body)
    value = document.get(root)
    if type(value) is not dict:
        raise bad_request(f"the body has no {root!r} with fields: send {{{root!r}: {{...}}}} or <{root}>...</{root}>")
    return value


def _read_json_untrusted(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, object_pairs_hook=unique_names)
    except RepeatedName as error:
        raise bad_request(f"the body has {error}") from None
    except (ValueError, RecursionError):
        raise bad_request("the body is not JSON, and its Content-Type does not say XML") from None
    if type(value) is not dict:
        raise bad_request("the body is not a JSON object")
    _check_bounds(value)
    return value


def _check_bounds(value: Any) -> None:
    level, values = [value], 0
    for _ in range(DEPTH_MAX):
        values += len(level)
        if values > ELEMENTS_MAX:
            raise bad_request(f"the body has more than {ELEMENTS_MAX} values")
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise bad_request(f"the body has more than {DEPTH_MAX} levels")


class _TreeReader:
    """Builds the value while expat reads. `open` holds one (attributes and children, text) for each open element."""

    def __init__(self) -> None:
        self.root: dict[str, Any] = {}
        self._open: list[tuple[dict[str, Any], list[str]]] = [(self.root, [])]
        self._elements = 0

    def begin(self, _name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > ELEMENTS_MAX:
            raise bad_request(f"the body has more than {ELEMENTS_MAX} elements")
        if len(self._open) > DEPTH_MAX:
            raise bad_request(f"the body has more than {DEPTH_MAX} levels")
        self._open.append(({f"@{name}": value for name, value in attributes.items()}, []))

    def text(self, data: str) -> None:
        self._open[-1][1].append(data)

    def end(self, name: str) -> None:
        fields, pieces = self._open.pop()
        text = "".join(pieces).strip()
        value: Any = fields
        if not fields:
            value = text
        elif text:
            fields["$"] = text
        parent = self._open[-1][0]
        if name not in parent:
            parent[name] = value
        elif isinstance(parent[name], list):
            parent[name].append(value)
        else:
            parent[name] = [parent[name], value]

    def doctype(self, *_declaration: object) -> None:
        raise bad_request("the body has a DOCTYPE: leave it out, no client needs one and entities are not read here")


def _read_xml_untrusted(body: bytes) -> dict[str, Any]:
    reader = _TreeReader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.begin
    parser.CharacterDataHandler = reader.text
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last two: an encoding that nobody knows
        raise bad_request(f"the body is not well-formed XML: {error}") from None
    return reader.root


def write_document(root: str, value: dict[str, Any], *, as_json: bool) -> Response:
    """A response with this document, in the form that its reader asked for."""
    if as_json:
        return Response(200, json.dumps({root: value}, separators=(",", ":")).encode(), JSON_TYPE)
    pieces: list[str] = []
    _write_element(root, value, pieces)
    return Response(200, "".join(pieces).encode("utf-8", "replace"), XML_TYPE)


def _write_element(name: str, value: Any, pieces: list[str]) -> None:
    if isinstance(value, list):
        for one in value:
            _write_element(name, one, pieces)
        return
    tag = element_name(name)
    if not isinstance(value, dict):
        pieces.append(f"<{tag}>{escape(_xml_text(value))}</{tag}>")
        return
    attributes = "".join(f" {key[1:]}={quoteattr(_xml_text(one))}" for key, one in value.items() if key.startswith("@"))
    pieces.append(f"<{tag}{attributes}>")
    for key, one in value.items():
        if key == "$":
            pieces.append(escape(_xml_text(one)))
        elif not key.startswith("@"):
            _write_element(key, one, pieces)
    pieces.append(f"</{tag}>")


def element_name(key: str) -> str:
    """The key as the name of an element: what a name cannot have becomes `_`."""
    name = _NOT_IN_A_NAME.sub("_", key)
    return f"_{name}" if _NO_BEGIN_OF_A_NAME.match(name) or not name else name


def _xml_text(value: Any) -> str:
    return _NOT_IN_XML.sub("\ufffd", str(value))
