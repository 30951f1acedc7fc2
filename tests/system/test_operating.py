"""What an operator does with a running sidecar: look at its options, reload it, change its keys."""

import base64
import json

import pytest

from gossipreg.wire.seal import key_id
from tests.system.sidecars import Sidecars


def test_config_says_what_is_in_force_and_shows_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOSSIPREG_ZONE", "z")
    monkeypatch.setenv("GOSSIPREG_SEEDS", "10.0.0.1")
    with Sidecars() as cluster:
        one = cluster.start("one", "--label", "rack=7").wait_ready()
        found = one.call("config")
        key = cluster.key_file.read_text()
        assert "variable_ignored" in one.log.read_text()
        gossip = one.gossip
    options = {each["name"]: (each["value"], each["source"], each["where"]) for each in found["options"]}
    assert options["zone"] == ("z", "variable", "GOSSIPREG_ZONE")
    assert options["label"] == (["rack=7"], "flag", "--label")
    assert options["advertise"] == (gossip, "default", "")
    assert options["key"][:2] == ([key_id(base64.b64decode(key)).hex()], "file")
    assert [each["variable"] for each in found["ignored"]] == ["GOSSIPREG_SEEDS"]
    assert key not in json.dumps(found)
