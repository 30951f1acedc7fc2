"""Options of `join` from flags, variables and a file: which one counts, and what a wrong one says."""

from pathlib import Path
from typing import Any

import pytest

from gossipreg.cli.join import join
from gossipreg.cli.sources import NOT_IN_FILE, flag_name, options_of, variable_name
from gossipreg.daemon import main
from gossipreg.daemon.settings import Settings
from gossipreg.errors import BadConfig
from tests.cli.conftest import Command
from tests.client.fake_sidecar import FakeSidecar


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What the daemon was started with."""
    seen: list[Settings] = []

    def run(settings: Settings, *_: Any) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr(main, "run", run)
    return seen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "join.toml"


def chosen(settings: Settings, name: str) -> tuple[Any, str, str]:
    one = next(one for one in settings.options if one.name == name)
    return one.value, one.source, one.where


def test_every_option_has_a_variable_and_a_key_in_the_file() -> None:
    options = [option for option in options_of(join) if option.name not in NOT_IN_FILE]
    names = {flag_name(option): variable_name(option) for option in options}
    assert len(names) == len(set(names.values())) == len(options)
    assert names["key-file"] == "GOSSIPREG_KEY_FILE"
    assert names["socket"] == "GOSSIPREG_SOCKET"
    assert names["tag"] == "GOSSIPREG_TAG"
    assert "config" not in names


def test_a_file_gives_every_kind_of_option(given: list[Settings], file: Path, command: Command) -> None:
    file.write_text(
        'seed = ["10.0.0.1:1", "10.0.0.2:2"]\nlabel = { rack = "7" }\ninsecure = true\nname = "n"\n'
        'service = "web"\nport = 80\ncheck = "tcp://127.0.0.1:80,interval=5s"\nmeta = ["a=1"]\nsocket = "s"\n'
    )
    assert command("join", "--config", str(file)) == (0, "", "")
    assert given == [
        Settings(
            seeds=("10.0.0.1:1", "10.0.0.2:2"), labels=(("rack", "7"),), insecure=True, name="n", socket="s",
            service={"name": "web", "port": 80, "checks": ["tcp://127.0.0.1:80,interval=5s"], "meta": {"a": "1"}},
        )
    ]  # fmt: skip
    assert chosen(given[0], "seed") == (["10.0.0.1:1", "10.0.0.2:2"], "file", str(file))
    assert chosen(given[0], "zone") == ("", "default", "")


def test_a_file_may_begin_with_a_byte_order_mark(given: list[Settings], file: Path, command: Command) -> None:
    file.write_bytes(b'\xef\xbb\xbfzone = "z"\n')
    assert command("join", "--config", str(file)).code == 0
    assert given[0].zone == "z"


def test_a_flag_replaces_a_variable_and_that_the_file(
    given: list[Settings], file: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('seed = ["f:1", "g:1"]\nzone = "file"\ncluster = "file"\ninsecure = true\n')
    monkeypatch.setenv("GOSSIPREG_CONFIG", str(file))
    monkeypatch.setenv("GOSSIPREG_SEED", "v:1 w:1")
    monkeypatch.setenv("GOSSIPREG_ZONE", "variable")
    assert command("join", "--seed", "a:1").code == 0
    assert command("join", "--no-insecure").code == 0
    monkeypatch.setenv("GOSSIPREG_INSECURE", "no")
    assert command("join").code == 0
    first, second, third = given
    assert (first.seeds, first.zone, first.cluster, first.insecure) == (("a:1",), "variable", "file", True)
    assert (second.seeds, second.insecure, third.insecure) == (("v:1", "w:1"), False, False)
    assert chosen(first, "seed") == (["a:1"], "flag", "--seed")
    assert chosen(first, "zone") == ("variable", "variable", "GOSSIPREG_ZONE")
    assert chosen(third, "insecure") == (False, "variable", "GOSSIPREG_INSECURE")


def test_repeatable_variables_are_split_at_white_space_alone(
    given: list[Settings], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = ["http://127.0.0.1:1/,interval=5s,fails=3", "tcp://127.0.0.1:1"]
    monkeypatch.setenv("GOSSIPREG_CHECK", f"  {checks[0]}\n {checks[1]} ")
    assert command("join", "--service", "web", "--port", "1").code == 0
    assert given[0].service == {"name": "web", "port": 1, "checks": checks}


def test_a_socket_before_the_command_goes_before_the_file(given: list[Settings], file: Path, command: Command) -> None:
    file.write_text('socket = "f.sock"\n')
    assert command("--socket", "flag.sock", "join", "--config", str(file)).code == 0
    assert command("join", "--socket", "flag.sock", "--config", str(file)).code == 0
    assert command("join", "--config", str(file)).code == 0
    assert [one.socket for one in given] == ["flag.sock", "flag.sock", "f.sock"]
    assert [chosen(one, "socket")[1] for one in given] == ["flag", "flag", "file"]


def test_the_key_variable_goes_before_a_key_file_in_the_file(
    given: list[Settings], file: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('key-file = "k"\n')
    monkeypatch.setenv("GOSSIPREG_KEY", "hidden")
    assert command("join", "--config", str(file)).code == 0
    assert (given[0].key, given[0].key_file) == ("hidden", None)
    assert "hidden" not in repr(given[0].options)
    assert command("join", "--key-file", "k").code == 0
    assert given[1].key_file == "k"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sede = 1", "'sede' is not an option of join: did you mean seed?"),
        ('key_file = "k"', "'key_file' is not an option of join: did you mean key-file?"),
        ("config = 1", "'config' is not an option of join"),
        ("zone = 3", "zone is '3', and it takes a text in quotes"),
        ("seed = [1]", "it takes texts in quotes"),
        ('insecure = "yes"', "it takes true or false"),
        ("port = true", "it takes a whole number"),
        ("dns-ttl = true", "it takes a duration"),
        ("journal-space = true", "it takes a size"),
        ('journal-space = "1 pound"', "is not a size"),
        ("copies = 2", "2 is none of 1, 3"),
        ("label = { rack = 7 }", "it takes texts in quotes"),
        ("zone", "not TOML"),
        ('zone = "\udcff"', "not UTF-8 at byte 8"),
        ('socket = "a\\u0000b"', "it takes a text in quotes"),
        ('profile = "moon"', "profile in"),
        ("port = 99999", "port in"),
        ('label = "x"', "label in"),
    ],
)
def test_a_wrong_file_is_2_and_names_the_key(
    text: str, words: str, file: Path, given: list[Settings], command: Command
) -> None:
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    ended = command("join", "--config", str(file))
    assert ended.code == 2
    assert words in ended.err.splitlines()[-1]
    assert str(file) in ended.err
    assert given == []


def test_a_file_that_is_not_there_is_5(given: list[Settings], command: Command) -> None:
    ended = command("join", "--config", "/nowhere/join.toml")
    assert (ended.code, ended.err) == (5, "Error: config file /nowhere/join.toml: No such file or directory\n")
    assert command("join", "--config", "").code == 2
    assert given == []


def test_a_wrong_variable_is_2_and_is_named(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIPREG_PROFILE", "moon")
    ended = command("join")
    assert ended.code == 2
    assert "GOSSIPREG_PROFILE" in ended.err.splitlines()[-1]


def test_an_unknown_variable_is_a_warning_with_a_suggestion(
    given: list[Settings], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOSSIPREG_SEEDS", "10.0.0.1")
    monkeypatch.setenv("GOSSIPREG_EMPTY", "")
    assert command("join").code == 0
    assert given[0].seeds == ()
    assert given[0].ignored_variables == (
        ("GOSSIPREG_SEEDS", "it is not an option of join: did you mean GOSSIPREG_SEED?"),
    )


def test_kubernetes_service_variables_are_ignored_with_a_warning(
    given: list[Settings], command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_kubernetes = {
        "GOSSIPREG_PORT": "tcp://10.1.2.3:7940", "GOSSIPREG_PORT_7940_UDP": "udp://10.1.2.3:7940",
        "GOSSIPREG_PORT_7940_UDP_ADDR": "10.1.2.3", "GOSSIPREG_PORT_7940_UDP_PORT": "7940",
        "GOSSIPREG_PORT_7940_UDP_PROTO": "udp", "GOSSIPREG_SERVICE_HOST": "10.1.2.3",
        "GOSSIPREG_SERVICE_PORT": "7940", "GOSSIPREG_SERVICE_PORT_GOSSIP": "7940",
        "GOSSIPREG_HTTP_SERVICE_HOST": "10.1.2.4", "GOSSIPREG_HTTP_PORT": "tcp://10.1.2.4:8500",
    }  # fmt: skip
    for name, value in of_kubernetes.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GOSSIPREG_CHECK", "tcp://127.0.0.1:80")  # a check, not an address of a Service
    assert command("join", "--service", "web", "--port", "80").code == 0
    assert given[0].service == {"name": "web", "port": 80, "checks": ["tcp://127.0.0.1:80"]}
    assert {name for name, _ in given[0].ignored_variables} == set(of_kubernetes)
    assert all("Kubernetes" in why for _, why in given[0].ignored_variables)


def test_the_file_is_read_again_as_a_restart_would(given: list[Settings], file: Path, command: Command) -> None:
    file.write_text('zone = "a"\ncluster = "c"\n')
    command("join", "--config", str(file), "--cluster", "flag")
    read_again = given[0].read_options_again
    assert read_again is not None
    assert read_again() == given[0].options
    file.write_text('zone = "b"\ncluster = "d"\n')
    after = {one.name: one.value for one in read_again()}
    assert (after["zone"], after["cluster"]) == ("b", "flag")
    file.write_text('zone = "b"\nprofile = "moon"\n')
    with pytest.raises(BadConfig, match="moon"):
        read_again()
    file.write_text("zone = 3\n")
    with pytest.raises(BadConfig, match="zone is '3'"):
        read_again()


def test_config_prints_what_was_chosen_and_from_where(sidecar: FakeSidecar, command: Command) -> None:
    options = [
        {"name": "seed", "value": ["a:1", "b:2"], "source": "variable", "where": "GOSSIPREG_SEED"},
        {"name": "insecure", "value": True, "source": "flag", "where": "--insecure"},
        {"name": "zone", "value": "", "source": "default", "where": ""},
    ]
    ignored = [{"variable": "GOSSIPREG_X", "why": "it is not an option of join"}]
    sidecar.answers["config"] = lambda _: {"file": None, "options": options, "ignored": ignored}
    ended = command("config")
    assert ended.out.splitlines() == [
        "OPTION    VALUE    FROM",
        "seed      a:1 b:2  variable GOSSIPREG_SEED",
        "insecure  yes      flag",
    ]
    assert ended.err == "Note: GOSSIPREG_X is ignored: it is not an option of join\n"
    assert "zone" in command("config", "--all").out
