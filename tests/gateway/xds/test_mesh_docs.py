"""docs/mesh.md says what the policy is and who honours it."""

import re
from importlib.resources import files

from gossipreg.gateway.xds.model import ClientKind
from gossipreg.gateway.xds.resources.policy import (
    GRPC_RETRY_ON,
    HONOURED,
    Matching,
    OutlierPolicy,
    RetryPolicy,
    ServicePolicy,
)
from gossipreg.gateway.xds.resources.policy_file import read_policy_untrusted

PAGE = (files("gossipreg") / "docs" / "mesh.md").read_text()
COLUMNS = (ClientKind.ENVOY, ClientKind.GRPC_CORE, ClientKind.GRPC_JS, ClientKind.GRPC)


def test_the_table_says_who_honours_what() -> None:
    rows = re.findall(r"^\| (`.*`.*?) \| (yes|no) \| (yes|no) \| (yes|no) \| (yes|no) \|$", PAGE, re.MULTILINE)
    said = {
        name.replace("`", ""): {kind for kind, word in zip(COLUMNS, words, strict=True) if word == "yes"}
        for name, *words in rows
    }
    assert said == {setting: set(kinds) for setting, kinds in HONOURED.items()}


def test_the_example_is_a_policy_with_most_of_the_settings() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    policy = read_policy_untrusted(example.encode(), "mesh.md")
    assert policy.default == ServicePolicy(timeout_s=30.0)
    assert {*policy.services} == {"web", "cache"}
    assert len({*policy.of("web").settings(), *policy.of("cache").settings()}) >= 12


def test_words_and_defaults_are_named() -> None:
    for word in (*GRPC_RETRY_ON, *Matching):
        assert f"`{word}`" in PAGE or f"`{word} =" in PAGE
    assert f"`attempts` ({RetryPolicy().attempts})" in PAGE
    assert f"`max_ejection_percent` ({OutlierPolicy().max_ejection_percent})" in PAGE
    after = PAGE.partition("without it, ")[2]
    assert re.findall(r"`([a-z-]+)`", after)[:4] == [*RetryPolicy().on]
