"""What a check may be, as text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipreg.daemon.checks.spec import OUTPUT_MAX, CheckSpec, check_ids, parse_check_untrusted, shortened
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
        ("tcp://h:1,intervall=5s", "'intervall=5s' is no option"),
        ("http://h/,Interval=5s", "is no option"),
        ("tcp://h:1,interval=5s,interval=6s", "given twice"),
        ("tcp://h:1,interval=fast", "no duration"),
        ("tcp://h:1,interval=1ms", "choose 0.1s"),
        ("tcp://h:1,interval=5s,timeout=6s", "longer than the interval"),
        ("tcp://h:1,passes=0", "choose 1 to 100"),
        ("tcp://h:1,verify=no", "no verify"),
        ("https://h/,verify=maybe", "yes or no"),
        ("http://h/,server_name=x", "no server_name"),
        ("https://h/,server_name=", "name of a host"),
        ("https://h/,server_name=a:443", "without a port"),
        ("https://h/,server_name=a..b", "name of a host"),
        ("https://h/,server_name=" + "a" * 64, "name of a host"),
        ("http://a..b/", "no name of a host"),
        ("tcp://" + "a" * 64 + ".example:1", "no name of a host"),
        ("ttl:30s,passes=2", "no passes"),
        ("ttl:", "no duration"),
        ("cmd:", "name the command"),
        ("cmd:a\nb", "control characters"),
        ("cmd:" + "x" * 5000, "at most 4096"),
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


def test_a_check_may_have_an_id_a_name_and_notes_with_anything_in_them() -> None:
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
