"""Filter expressions: what they mean, and that everything else is an error."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipreg.gateway.http.filter import DEPTH_MAX, TEXT_MAX, compile_filter_untrusted
from gossipreg.net.http_message import HttpError

ENTRY: dict[str, Any] = {
    "Node": {"ID": "u", "Node": "one", "Address": "10.0.0.1", "Datacenter": "dc",
             "TaggedAddresses": {"lan": "10.0.0.1"}, "Meta": {"os": "linux", "a b": "c", "in": "x"}},
    "Service": {"ID": "web-1", "Service": "web", "Tags": ["v2", "blue"], "Address": "10.0.0.9", "Meta": {},
                "Port": 80, "Weights": {"Passing": 10, "Warning": 1}, "EnableTagOverride": False,
                "TaggedAddresses": {"lan": {"Address": "10.0.0.9", "Port": 80}}},
    "Checks": [{"CheckID": "serfHealth", "Status": "passing", "ServiceTags": []},
               {"CheckID": "service:web-1", "Status": "critical", "ServiceTags": ["v2"]}],
}  # fmt: skip


def holds(text: str) -> bool:
    return compile_filter_untrusted(text, "entry")(ENTRY)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('Node.Node == "one"', True),
        ("Node.Node==one", True),
        ("Node.Node == `one`", True),
        ("Node.Node != one", False),
        ("Service.Port == 80", True),
        ('Service.Port == "80"', True),
        ("Service.Port != 81", True),
        ("Service.EnableTagOverride == false", True),
        ("Service.EnableTagOverride == TRUE", False),
        ("v2 in Service.Tags", True),
        ('"v3" in Service.Tags', False),
        ("v3 not in Service.Tags", True),
        ("Service.Tags contains blue", True),
        ("Service.Tags not contains blue", False),
        ("os in Node.Meta", True),  # a key of a map
        ("linux in Node.Meta", False),
        ('"10.0" in Node.Address', True),  # a part of a text
        ("Service.Meta is empty", True),
        ("Node.Meta is not empty", True),
        ("Service.Tags is empty", False),
        ("Checks is empty", False),
        ('Service.ID matches "^web-[0-9]+$"', True),
        ("Service.ID not matches web", False),
        ('Service.ID matches "eb"', True),  # anywhere
        ("Node.Meta.os == linux", True),
        ('Node.Meta["a b"] == c', True),
        ('Node.Meta["in"] == "x"', True),
        ("Service.TaggedAddresses.lan.Port == 80", True),
        ("Service.Weights.Passing == 10", True),
        # through a list: one is enough
        ("Checks.Status == critical", True),
        ("Checks.Status != critical", True),
        ("Checks.Status == warning", False),
        ("not Checks.Status == warning", True),
        ("v2 in Checks.ServiceTags", True),
        # a key that is not there
        ("Node.Meta.none == x", False),
        ("Node.Meta.none != x", True),
        ("Node.Meta.none is empty", True),
        ("Node.Meta.none is not empty", False),
        ("x in Node.Meta.none", False),
        ("x not in Node.Meta.none", True),
        ("Node.Meta.none matches x", False),
        ("Node.Meta.none not matches x", True),
        # and, or, not, parentheses
        ("Node.Node == two or Node.Node == one and Service.Port == 80", True),
        ("(Node.Node == two or Node.Node == one) and Service.Port == 81", False),
        ("not (Node.Node == two or Node.Node == one)", False),
        ("not not Node.Node == one", True),
        ("not Node.Node == two and Service.Port == 81", False),  # not binds tighter
        ("Service.Port == 80 and (not (v3 in Service.Tags))", True),
        ("\t Node.Node\n==   one ", True),
        (r'Node.Node == "\u006fne"', True),
    ],
)
def test_an_expression_admits_what_it_says(text: str, wanted: bool) -> None:
    assert holds(text) is wanted


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ", "ends"), ("Node.Node", "no operator"), ("Node.Node ==", "ends where a value"),
        ("Node.Node = one", "not a word of the filter language"), ("Node.Nod == one", "not there: there is ID, Node"),
        ("Node == one", "not one value"), ("Node.Node.X == one", "not there"), ("Service.Port == x", "whole number"),
        ("Service.EnableTagOverride == 1", "true nor false"), ("Service.Port is empty", "cannot be empty"),
        ("Service.Port matches x", "is not a text"), ("Service.Tags == x", "not one value"),
        ("x in Service.Port", "nothing in it"), ("x in Checks", "nothing in it"), ("x in Node", "nothing in it"),
        ("(Node.Node == one", "not closed"), ("Node.Node == one)", "not expected"),
        ("Node.Node == one Service.Port == 80", "not expected"), ("and Node.Node == one", "stands where"),
        ("Node.Node == one and", "ends"), ("Node.Node > one", "not a word of the filter language"),
        ("Node.Node is one", "no operator"),
        ('Node.Node == "one', "not a word of the filter language"), ('"Node.Node" == one', "is not a selector"),
        ("1 == 1", "is not a selector"),
        ('Node.Node matches "("', "ends too early"), (r'Node.Node matches "\\bx"', "not known"),
        (r'Node.Node == "\x"', "escape"), ("Node.Node == one; drop", "not a word of the filter language"),
        ("(" * 100 + "Node.Node == one" + ")" * 100, f"deeper than {DEPTH_MAX}"),
        ("Node.Node == " + "a" * TEXT_MAX, f"at most {TEXT_MAX}"),
        ("all Checks as c { c.Status == passing }", "not a word of the filter language"),
    ],
)  # fmt: skip
def test_anything_else_is_a_400_that_says_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(HttpError, match=why) as caught:
        holds(text)
    assert caught.value.status == 400


def test_the_expressions_of_one_filter_share_what_they_may_cost() -> None:
    with pytest.raises(HttpError, match="too complicated"):
        holds(" or ".join(f'Node.Node matches "{char}{{900}}"' for char in "abc"))


def test_a_filter_that_takes_too_long_is_a_400_for_itself_alone() -> None:
    costly = 'Node.Node matches "([ab]{20}){30}$"'
    for _ in range(2):
        with pytest.raises(HttpError, match="takes too long") as caught:
            compile_filter_untrusted(costly, "entry")({"Node": {"Node": "ab" * 127}})
        assert caught.value.status == 400
        assert holds('Node.Node matches "^o"')


VALUES = st.text(st.characters(codec="utf-8", exclude_characters="`"), max_size=20)


@given(VALUES, VALUES)
def test_any_text_can_be_asked_for_between_backticks(value: str, other: str) -> None:
    node = {"Node": value, "Meta": {}}
    assert compile_filter_untrusted(f"Node == `{value}`", "node")(node)
    assert compile_filter_untrusted(f"Node == `{other}`", "node")(node) is (value == other)


WORDS = st.sampled_from(
    ["Node.Node", "Service.Tags", "Checks.Status", "Node.Meta.x", "==", "!=", "in", "not", "is", "empty", "matches",
     "contains", "and", "or", "(", ")", '"a"', "`b`", "80", "-1.5", "true", "[", '["', ".", "\\"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=12).map(" ".join))
def test_any_words_are_a_filter_or_a_400(text: str) -> None:
    with suppress(HttpError):
        assert holds(text) in (True, False)


LEAVES = st.sampled_from(
    [("Node.Node == one", True), ("Node.Node == two", False), ("v2 in Service.Tags", True), ("Checks is empty", False)]
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", two[0][1] and two[1][1])),
        st.tuples(inner, inner).map(lambda two: (f"({two[0][0]}) or ({two[1][0]})", two[0][1] or two[1][1])),
        inner.map(lambda one: (f"not ({one[0]})", not one[1])),
    ),
    max_leaves=6,
)


@given(TREES)
def test_logic_is_that_of_python(tree: tuple[str, bool]) -> None:
    assert holds(tree[0]) is tree[1]
