"""What a check may be, as text."""

import re
import tomllib
from contextlib import suppress
from importlib.resources import files
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.daemon.checks.options import OPTIONS
from gossipreg.daemon.checks.parse import parse_check_untrusted, redacted
from gossipreg.daemon.checks.spec import OUTPUT_MAX, CheckSpec, Kind, check_ids, shortened
from gossipreg.errors import BadParams

targets = st.sampled_from(
    ["http://h/a,b=c?x=1,y=2", "https://[::1]:8443/", "tcp://10.0.0.1:80", "tcp://[fe80::1]:80", "cmd:test -f /x,y=z"]
)
texts = st.text() | st.from_regex(r"(http|https|tcp|cmd|ttl):(//)?.*(,\w+=\w+)*", fullmatch=True)


@given(texts | st.integers() | st.binary() | st.none() | st.lists(st.text()))
@example("http://[")
@example("tcp://h:99999")
@example("tcp://\u2100:1")
@example("http://h:\uff11/")
@example("ttl:" + "9" * 400)
@example("tcp://h:1,passes=" + "9" * 5000)
def test_whatever_is_given_is_a_check_or_one_line(text: object) -> None:
    try:
        spec = parse_check_untrusted("checks", text)
        assert spec.text == text
        message = "checks"
    except BadParams as error:
        message = str(error)
    assert message.startswith("checks")
    assert message.isprintable()


@given(
    targets,
    st.integers(1, 3600),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(1, 1000),
    st.permutations(range(5)),
)
def test_options_are_read_whatever_their_order(
    target: str, interval: int, passes: int, fails: int, after: int, order: list[int]
) -> None:
    options = [
        f"interval={interval}s",
        f"passes={passes}",
        f"fails={fails}",
        f"deregister_after={after}m",
        "timeout=10ms",
    ]
    text = ",".join([target, *(options[number] for number in order)])
    spec = parse_check_untrusted("checks", text)
    assert (spec.interval_s, spec.passes, spec.fails) == (interval, passes, fails)
    assert (spec.deregister_after_s, spec.timeout_s) == (after * 60, 0.01)
    assert target.endswith(spec.target)


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ("http://127.0.0.1:80/health?a=b,c", "http", "http://127.0.0.1:80/health?a=b,c"),
        ("https://localhost/,verify=no", "https", "https://localhost/"),
        ("https://10.0.0.1/,b,server_name=a.example,verify=no", "https", "https://10.0.0.1/,b"),
        ("tcp://[::1]:80,interval=5s", "tcp", "[::1]:80"),
        ("cmd:echo a,b=c,interval=5s", "cmd", "echo a,b=c"),
        ("cmd:echo ,", "cmd", "echo ,"),
    ],
)
def test_a_target_may_have_commas(text: str, kind: str, target: str) -> None:
    spec = parse_check_untrusted("checks", text)
    assert (spec.kind, spec.target) == (kind, target)


def test_what_is_not_given_has_a_default() -> None:
    assert parse_check_untrusted("checks", "tcp://h:1") == CheckSpec("tcp://h:1", "tcp", "h:1", 10, 5, 1, 1, None, True)
    assert parse_check_untrusted("checks", "http://h/").method == "GET"
    assert parse_check_untrusted("checks", "tcp://h:1,interval=2s").timeout_s == 2
    assert parse_check_untrusted("checks", "ttl:30s").interval_s == 30


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ftp://h/", "http://..."),
        ("http:/h/", "http://..."),
        ("tcp://h", "host:port"),
        ("tcp://h:1/x", "host:port"),
        ("tcp://h:0", "port 0"),
        ("tcp://:80", "name the host"),
        ("http:///x", "name the host"),
        ("http://u:p@h/", "leave out user"),
        ("http://h/a b", "percent-encode"),
        ("tcp://h:1,intervall=5s", "'intervall' is not an option"),
        ("cmd:true,intervall=5s", "'intervall' is not an option"),
        ("tcp://h:1,foo=1", "'foo' is not an option"),
        ("ttl:5s,foo=1", "'foo' is not an option"),
        ("http://h/,header=A:b,c", "write it as %2C"),
        ("http://h/,header=A", "NAME:VALUE"),
        ("http://h/,header=Content-Length:1", "set by the check itself"),
        ("http://h/,method=CONNECT", "give GET, HEAD"),
        ("http://h/,method=HEAD,body=x", "has no body"),
        ("tcp://h:1,method=HEAD", "tcp checks have no method"),
        ("grpc://h", "host:port"),
        ("alias:", "name the id of a service"),
        ("tcp://[127.0.0.999]:1", "Octet 999"),
        ("http://h/,Interval=5s", "is not an option"),
        ("tcp://h:1,interval=5s,interval=6s", "given twice"),
        ("tcp://h:1,interval=fast", "not a duration"),
        ("tcp://h:1,interval=1ms", "choose 0.1s"),
        ("tcp://h:1,passes=0", "choose 1 to 100"),
        ("tcp://h:1,verify=no", "no verify"),
        ("https://h/,verify=maybe", "yes or no"),
        ("http://h/,server_name=x", "no server_name"),
        ("https://h/,server_name=", "name of a host"),
        ("https://h/,server_name=a:443", "without a port"),
        ("https://h/,server_name=a..b", "name of a host"),
        ("https://h/,server_name=" + "a" * 64, "name of a host"),
        ("http://a..b/", "not a host name"),
        ("tcp://" + "a" * 64 + ".example:1", "not a host name"),
        ("ttl:30s,passes=2", "no passes"),
        ("ttl:", "not a duration"),
        ("cmd:", "name the command"),
        ("cmd:a\nb", "control characters"),
        ("cmd:" + "x" * 9000, "at most 8192"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(BadParams, match=r"^checks ") as raised:
        parse_check_untrusted("checks", text)
    assert words in str(raised.value)


@given(st.text(max_size=5000))
def test_what_a_check_said_is_shown_short_and_on_one_line(text: str) -> None:
    shown = shortened(text)
    assert len(shown) <= OUTPUT_MAX
    assert shown.isprintable()


def test_id_name_and_notes_of_a_check_may_be_any_text() -> None:
    spec = parse_check_untrusted("checks", "ttl:5s,check_id=a:1,check_name=Disk%2C 100%25 full,check_notes=x=y")
    assert (spec.id, spec.name, spec.notes) == ("a:1", "Disk, 100% full", "x=y")
    for text in ("ttl:5s,check_id=", "ttl:5s,check_id=%0a", "ttl:5s,check_name=%ff", "ttl:5s,check_id=" + "x" * 256):
        with pytest.raises(BadParams, match="checks is"):
            parse_check_untrusted("checks", text)


def test_checks_are_called_as_they_were_or_by_their_service() -> None:
    def ids(*texts: str) -> list[str]:
        return check_ids("web", [parse_check_untrusted("checks", text) for text in texts])

    assert ids("ttl:5s") == ["service:web"]
    assert ids("ttl:5s", "tcp://h:1", "ttl:6s,check_id=mine") == ["service:web:1", "service:web:2", "mine"]
    assert ids() == []


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("http://[127.0.0.1]:9998/health", "http://127.0.0.1:9998/health"),  # fabio registers itself so
        ("https://[10.0.0.1]/", "https://10.0.0.1/"),
        ("tcp://[10.0.0.1]:80", "10.0.0.1:80"),
        ("grpc://[10.0.0.1]:80/a.B", "10.0.0.1:80/a.B"),
        ("http://h/[10.0.0.1]:80", "http://h/[10.0.0.1]:80"),
    ],
)
def test_brackets_around_ipv4_are_taken_as_go_takes_them(text: str, target: str) -> None:
    assert parse_check_untrusted("checks", text).target == target


@pytest.mark.parametrize("kind", ["http://h/", "https://h/", "tcp://h:1", "grpc://h:1", "cmd:true"])
def test_a_timeout_may_be_longer_than_the_interval(kind: str) -> None:
    spec = parse_check_untrusted("checks", f"{kind},interval=5s,timeout=55s")
    assert (spec.interval_s, spec.timeout_s) == (5, 55)


@pytest.mark.parametrize("kind", ["http://h/", "https://h/", "tcp://h:1", "grpc://h:1", "grpcs://h:1", "cmd:true"])
@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("interval=fast", "not a duration"),
        ("passes=0", "passes is 0: choose 1 to 100"),
        ("fails=x", "fails is x: choose 1 to 100"),
        ("intervall=5s", "'intervall' is not an option: the options are interval"),
        ("interval=5s,interval=6s", "interval is given twice"),
        ("node=a", "checks have no node: they take interval"),
        ("timeout=0", "timeout is 0: choose 0.01s"),
        ("deregister_after=10ms", "choose 1s"),
    ],
)
def test_each_kind_has_the_same_errors_for_options(kind: str, option: str, words: str) -> None:
    with pytest.raises(BadParams) as raised:
        parse_check_untrusted("checks", f"{kind},{option}")
    assert words in str(raised.value)


def test_a_request_has_method_headers_and_body() -> None:
    text = "https://h/q?a=1,b=2,method=put,header=X-A:1,header=Accept:a/b%2Cc/d;q=1,body=%7B%22a%22:1%2C%0A%7D"
    spec = parse_check_untrusted("checks", text)
    assert (spec.method, spec.headers) == ("PUT", (("X-A", "1"), ("Accept", "a/b,c/d;q=1")))
    assert (spec.target, spec.body) == ("https://h/q?a=1,b=2", '{"a":1,\n}')


def test_a_table_says_the_same_as_text() -> None:
    table = {
        "check": "https://h/", "interval": "5s", "timeout": 2, "fails": 3, "verify": False,
        "header": {"Authorization": "Bearer a,b", "X": ["1", "2"]}, "body": "a\nb", "check_name": "n, m",
    }  # fmt: skip
    text = ("https://h/,interval=5s,timeout=2,fails=3,verify=no,header=Authorization:Bearer a%2Cb,header=X:1,"
            "header=X:2,body=a%0Ab,check_name=n%2C m")  # fmt: skip
    assert parse_check_untrusted("checks", table) == parse_check_untrusted("checks", text)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"interval": "5s"}, "a table without `check`"),
        ({"check": "http://h/", "intervall": "5s"}, "'intervall' is not an option"),
        ({"check": "http://h/,header=A:SECRET"}, "stands beside `check`"),
        ({"check": "http://h/", "header": {"A": 5.5, "B\n": "SECRET"}}, "NAME:VALUE"),
        ({"check": "http://h/", "header": {"A": "SECRET\n"}}, "not printable ASCII"),
        ({"check": "http://h/", "body": ["SECRET"]}, "not a text, a number or a boolean"),
        ({"check": "tcp://h:1", "body": "SECRET"}, "tcp checks have no body"),
    ],
)
def test_what_is_wrong_in_a_table_is_said(table: dict[str, object], words: str) -> None:
    with pytest.raises(BadParams) as raised:
        parse_check_untrusted("checks", table)
    assert words in str(raised.value)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h/?a=1,b=2,header=A:SECRET,interval=5s", "http://h/?a=1,b=2,header=A:***,interval=5s"),
        ("http://h/,body=SECRET,method=POST", "http://h/,body=***,method=POST"),
        ("http://h/,header=A:SECRET,SECRET2,interval=5s", "http://h/,header=A:***,interval=5s"),
        ("http://h/,haeder=A:SECRET,interval=5s", "http://h/,haeder=***,interval=5s"),
        ("http://h/,header=SECRET,interval=x", "http://h/,header=***,interval=x"),
        ("cmd:a,b=c,interval=5s", "cmd:a,b=c,interval=5s"),
    ],
)
def test_values_of_headers_and_bodies_are_never_shown(text: str, shown: str) -> None:
    assert redacted(text) == shown
    with pytest.raises(BadParams) as raised:
        parse_check_untrusted("checks", f"{text},passes=0")
    assert "SECRET" not in str(raised.value)
    with suppress(BadParams):
        assert "SECRET" not in repr(parse_check_untrusted("checks", text))


def test_an_alias_names_a_service_or_a_node() -> None:
    one, two, three = (
        parse_check_untrusted("checks", text) for text in ("alias:web-80", "alias:web-80,node=n", "alias:,node=n")
    )
    assert [(one.target, one.node), (two.target, two.node), (three.target, three.node)] == [
        ("web-80", ""), ("web-80", "n"), ("", "n"),
    ]  # fmt: skip


def test_an_edit_of_anything_but_the_question_asks_the_same() -> None:
    before = parse_check_untrusted("checks", "https://h/,interval=5s")
    for options in ("interval=6s", "timeout=1s", "passes=2", "fails=2", "deregister_after=1h", "check_notes=n",
                    "check_name=n", "check_id=i"):  # fmt: skip
        assert parse_check_untrusted("checks", f"https://h/,{options}").asked == before.asked
    for text in ("http://h/", "https://h/x", "https://h/,method=HEAD", "https://h/,header=A:b", "https://h/,body=x",
                 "https://h/,verify=no", "https://h/,server_name=x"):  # fmt: skip
        assert parse_check_untrusted("checks", text).asked != before.asked
    assert parse_check_untrusted("c", "ttl:5s").asked == parse_check_untrusted("c", "ttl:6s").asked


def test_the_manual_names_every_kind_and_every_option_of_checks() -> None:
    manual = (files("gossipreg") / "docs" / "checks.md").read_text()
    rows = [line.split("|")[1] for line in manual.splitlines() if line.startswith("| `")]
    named = {word.partition(":")[0] for row in rows for word in re.findall(r"`([a-z_]+[:a-z_]*)", row)}
    assert named == {*get_args(Kind), *OPTIONS}
    for table in re.findall(r'"?\{(check = .*)\}', manual):
        parse_check_untrusted("check", tomllib.loads(f"check = {{{table}}}")["check"])


def test_a_wrong_check_is_shown_with_a_mark_where_it_is_cut() -> None:
    with pytest.raises(BadParams, match=r"^checks is 'tcp://h:1,passes=2,passes=3': passes is given twice$"):
        parse_check_untrusted("checks", "tcp://h:1,passes=2,passes=3")
    with pytest.raises(BadParams, match=r"^checks is 'http://127.0.0.1/x{19}\.\.\.: fails"):
        parse_check_untrusted("checks", f"http://127.0.0.1/{'x' * 100},fails=0")
