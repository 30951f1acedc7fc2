"""What clients may give: anything else is one kind of error, of one line."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.daemon import params
from gossipreg.daemon.params import registration_untrusted, take_untrusted
from gossipreg.errors import BadParams
from gossipreg.wire import values

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
CHECKS: dict[str, params.Check] = {
    **params.SERVICE, "flag": params.boolean, "seconds": params.seconds, "zone": params.zone,
    "member": params.member_id,
}  # fmt: skip


@given(st.sampled_from(sorted(CHECKS)), anything)
def test_whatever_is_given_is_taken_or_refused_in_one_line(name: str, value: Any) -> None:
    try:
        take_untrusted("method", {name: value}, CHECKS)
    except BadParams as error:
        message = str(error)
    else:
        return
    assert message.startswith(name)
    assert message.isprintable()
    assert len(message) < 300


@given(st.dictionaries(st.sampled_from(["name", "port", "id", "address", "tags", "meta", "weight", "x"]), anything))
def test_a_service_is_refused_or_can_be_told_to_others(given_params: dict[str, Any]) -> None:
    with suppress(BadParams):
        service = registration_untrusted("register", given_params, default_host="10.0.0.1").service
        assert values.decode_service_untrusted(values.encode_service(service)) == service


@given(
    name=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=50),
    port=st.integers(1, 65535),
    tags=st.lists(st.text(st.characters(categories=["L", "N", "Zs"]), min_size=1, max_size=20), max_size=8),
    meta=st.dictionaries(st.text(st.characters(categories=["L"]), min_size=1, max_size=20), st.text(max_size=50)),
)
def test_good_parameters_make_a_service_that_can_be_told(
    name: str, port: int, tags: list[str], meta: dict[str, str]
) -> None:
    with suppress(BadParams):  # characters that no terminal should be given
        service = registration_untrusted(
            "register", {"name": name, "port": port, "tags": tags, "meta": meta}, default_host="10.0.0.1"
        ).service
        assert (service.name, service.port, service.id) == (name, port, f"{name}-{port}")
        assert service.tags == tuple(dict.fromkeys(tags))
        assert values.decode_service_untrusted(values.encode_service(service)) == service


@pytest.mark.parametrize("name", ["a", "web-1", "web_1.x", "日本", "é" * 127])
def test_ordinary_names_are_names(name: str) -> None:
    assert params.service_name("name", name) == name


@pytest.mark.parametrize(
    "name", ["", "a b", "a\tb", "a\n", "a/b", "a\u2028b", "a\u202eb", "\x7f", "é" * 128, b"a", None, 1]
)
def test_names_that_would_break_a_path_or_a_line_are_refused(name: Any) -> None:
    with pytest.raises(BadParams):
        params.service_name("name", name)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("disk\u202eswap", "U+202E RIGHT-TO-LEFT OVERRIDE"), ("a\u200bb", "U+200B ZERO WIDTH SPACE"),
        ("\ufeffa", "U+FEFF ZERO WIDTH NO-BREAK SPACE"), ("a\x1b[31mb", "U+001B"), ("a\nb", "U+000A"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("check", [params.text, params.remark, params.zone, params.word])
def test_a_character_that_cannot_be_seen_is_refused_by_name(check: params.Check, text: str, named: str) -> None:
    with pytest.raises(BadParams) as caught:
        check("reason", text)
    assert str(caught.value) == f"reason is {text!r}: give text without control characters, such as {named}"


@pytest.mark.parametrize("host", ["10.0.0.1", "fd00::1", "db.example.org", "localhost"])
def test_hosts_that_can_be_connected_to_are_hosts(host: str) -> None:
    assert params.host("address", host) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "[::1]", "h:80", "http://h", "", "a b"])
def test_hosts_that_cannot_be_connected_to_are_refused(host: str) -> None:
    with pytest.raises(BadParams, match="address"):
        params.host("address", host)


def test_a_service_without_a_port_is_called_after_its_name() -> None:
    registration = registration_untrusted("register", {"name": "batch", "port": 0}, default_host="10.0.0.1")
    assert (registration.service.id, registration.service.port) == ("batch", 0)
    with pytest.raises(BadParams, match="needs the parameter port"):  # left out, it may have been forgotten
        registration_untrusted("register", {"name": "batch"}, default_host="10.0.0.1")


def test_an_unknown_parameter_is_named_beside_those_there_are() -> None:
    with pytest.raises(BadParams, match="lookup has no parameter 'tag': it takes name, tags"):
        take_untrusted("lookup", {"tag": 1}, {"name": params.word, "tags": params.tags})


def test_a_tag_beyond_its_bounds_is_named_with_the_limit() -> None:
    with pytest.raises(BadParams, match=r"the tag 'traefikx.* has 1025 bytes: give at most 1024"):
        params.tags("tags", ["a", "traefik" + "x" * 1018])
    with pytest.raises(BadParams, match="257 tags: give at most 256, without 't256' and those after it"):
        params.tags("tags", [f"t{at}" for at in range(257)])
    assert params.tags("tags", ["b" * 1024, "a", "b" * 1024]) == ("b" * 1024, "a")
    assert params.wanted_tags("tags", ["b", "a"]) == ("a", "b")


@pytest.mark.parametrize(
    ("name", "port", "text"), [("a*b", 80, "of its group, and group 'a\\*b'"), ("web", 0, "no port")]
)
def test_service_that_no_event_can_be_sent_to_is_refused(name: str, port: int, text: str) -> None:
    given = {"name": name, "port": port, "subscribe": {"order.*": "/orders"}}
    with pytest.raises(BadParams, match=f"^subscribe: .*{text}"):
        registration_untrusted("register", given, default_host="10.0.0.1")
    del given["subscribe"]
    registration_untrusted("register", given, default_host="10.0.0.1")
