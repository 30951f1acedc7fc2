"""The manual's page on the local socket says what the code does: methods, parameters, fields, codes, bytes."""

import inspect
import json
import re
from pathlib import Path

import pytest
from msgpack import packb, unpackb

from gossipreg.core.knowledge import Knowledge
from gossipreg.daemon import (
    asked_member,
    client_calls,
    gateways,
    http_speaker,
    lookups,
    maintenance_methods,
    methods,
    params,
    sidecar_state,
)
from gossipreg.daemon.history import history_method
from gossipreg.errors import REQUEST_ERRORS, BadParams
from gossipreg.model import NOTHING, CatalogInstance, Health, MemberInfo, NodeId, RegisteredService, ServiceSummary
from gossipreg.net import http_framing, http_message
from gossipreg.net.error_status import STATUS
from gossipreg.rights import RIGHTS, Right
from gossipreg.socket_path import MAX_PATH_BYTES
from gossipreg.wire.shapes import instance_shape, member_shape, service_shape

PAGE = (Path(methods.__file__).parent.parent / "docs" / "local-socket.md").read_text()
SECTIONS = {
    name: text for name, _, text in (part.partition("\n") for part in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:])
}
HTTP_ALONE = {"join"}

PARAMETERS = {
    "lookup": lookups.LOOKUP, "explain": lookups.EXPLAIN, "register": params.SERVICE, "heartbeat": methods._HEARTBEAT,
    "maint": maintenance_methods._MAINT, "drain": maintenance_methods._DRAIN,
    "xds-show": gateways.XDS_SHOW, "ask-member": asked_member.ASK_MEMBER, "history": history_method.HISTORY,
    "watch": client_calls.WATCH, "unmet": sidecar_state.UNMET,
}  # fmt: skip

INSTANCE = CatalogInstance(
    RegisteredService("a", "a", "h", 1), Health.PASSING, NodeId(bytes(16)), "n", "", 0, 0, reason="why"
)
MEMBER = MemberInfo(NodeId(bytes(16)), "n", None, "alive", "", (), None, 0, NOTHING, 0.0)


def test_every_method_has_a_section_and_every_section_a_method() -> None:
    assert sorted(SECTIONS) == sorted(RIGHTS.keys() - HTTP_ALONE)


@pytest.mark.parametrize("method", PARAMETERS)
def test_every_parameter_is_explained(method: str) -> None:
    text = SECTIONS[method] + (SECTIONS["maint"] if method == "drain" else "")
    assert [name for name in PARAMETERS[method] if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        ("lookup", instance_shape(INSTANCE)), ("members", member_shape(MEMBER, partial=True)),
        ("services", service_shape(ServiceSummary("a", 1, 1, ()), partial=True)),
    ],
)  # fmt: skip
def test_every_field_of_a_result_is_explained(method: str, shape: dict[str, object]) -> None:
    assert [field for field in shape if f"`{field}`" not in SECTIONS[method]] == []


def test_every_error_code_is_explained() -> None:
    named = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Errors")[2].partition("\n## ")[0], re.MULTILINE)
    assert sorted(named) == sorted(REQUEST_ERRORS)


def test_every_error_code_has_the_status_of_the_page() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.partition("## HTTP")[2].partition("\n## ")[0], re.MULTILINE)
    named = {code: int(status) for status, text in rows for code in re.findall(r"`(\w+)`", text)}
    assert {code: status for code, status in named.items() if code in REQUEST_ERRORS} == STATUS


def test_every_status_of_a_request_that_is_not_read_is_explained() -> None:
    texts = map(inspect.getsource, (http_framing, http_message, http_speaker))
    raised = {pair for text in texts for pair in re.findall(r'HttpError\((\d+), "(\w+)"', text)}
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.partition("## HTTP")[2].partition("\n## ")[0], re.MULTILINE))
    assert {("400", "bad_request"), ("431", "head_too_large")} <= raised
    own = {(status, code) for status, code in raised if code not in REQUEST_ERRORS}
    assert [(status, code) for status, code in sorted(own) if f"`{code}`" not in rows.get(status, "")] == []


def test_the_parameters_of_register_that_are_required_are_said_to_be() -> None:
    given = {"name": "a", "port": 0}
    for name in given:
        rest = {key: value for key, value in given.items() if key != name}
        with pytest.raises(BadParams, match=name):
            params.registration_untrusted("register", rest, default_host="h")
        assert f"| `{name}` | required" in SECTIONS["register"]
    params.registration_untrusted("register", given, default_host="h")


def test_every_field_of_the_state_is_explained() -> None:
    inside = {"cluster", "node", "name", "zone", "run", "knowledge", "not_synced_because", "others"}
    assert [field for field in inside if f"`{field}`" not in SECTIONS["state"]] == []
    assert [one.value for one in Knowledge if f"`{one.value}`" not in SECTIONS["state"]] == []


def test_methods_stand_under_the_right_that_they_need() -> None:
    heads = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    of = {head.partition("\n")[0]: set(re.findall(r"^### (\S+)", head, re.MULTILINE)) for head in heads}
    for title, right in (
        ("Methods that read", Right.READ), ("Methods that change", Right.OWN), ("Methods that operate", Right.OPERATE),
    ):  # fmt: skip
        others = HTTP_ALONE | of["Methods about events"] | of["Methods about sagas"]
        assert of[title] == {name for name in RIGHTS.keys() - others if RIGHTS[name] is right}
    for names in (of["Methods about events"], of["Methods about sagas"]):
        operate = {name for name in names if RIGHTS[name] is Right.OPERATE}
        assert operate == {name for name in names if "(operate)" in SECTIONS[name]}


def test_the_bytes_of_the_example_are_what_its_json_says() -> None:
    example = PAGE.partition("in hexadecimal:\n\n")[2]
    blocks = [block for block in re.split(r"\n\s*\n", example) if block.startswith("    ")][:4]
    request, answer = (bytes.fromhex("".join(block.split())) for block in blocks[:2])
    for data, block in ((request, blocks[2]), (answer, blocks[3])):
        assert unpackb(data) == json.loads(block)
        assert packb(json.loads(block)) == data
    given = unpackb(answer)[3][0]
    assert list(given) == [field for field in instance_shape(INSTANCE) if field != "reason"]


def test_the_page_of_limits_names_the_longest_socket_path() -> None:
    limits = (Path(methods.__file__).parent.parent / "docs" / "limits.md").read_text()
    assert f"{MAX_PATH_BYTES} bytes" in limits
