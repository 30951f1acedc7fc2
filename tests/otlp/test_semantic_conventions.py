"""The attributes of all spans are those of OpenTelemetry's semantic conventions, or begin with `gossipreg.`"""

import re
from importlib import import_module
from importlib.resources import files
from pathlib import Path

import pytest

PACKAGE = Path(str(files("gossipreg")))
SPANS = [*PACKAGE.rglob("*_spans.py"), PACKAGE / "tracing.py"]
ATTRIBUTE = re.compile(r'"((?:http|server|service|messaging|cloudevents|error|url|rpc|network|client)\.[a-z_.]+)"')
CONVENTIONS = "opentelemetry.semconv._incubating.attributes"


def named() -> set[str]:
    return {name for path in SPANS for name in ATTRIBUTE.findall(path.read_text())}


def known() -> set[str]:
    found = {"error.type"}
    for part in ("http", "server", "service", "messaging", "cloudevents"):
        module = pytest.importorskip(f"{CONVENTIONS}.{part}_attributes")
        found |= {value for value in vars(module).values() if isinstance(value, str)}
    return found


def test_every_attribute_is_one_of_the_conventions() -> None:
    assert len(SPANS) >= 6
    assert {"messaging.system", "http.request.method", "service.peer.name", "error.type"} <= named()
    assert named() - known() == set()


def test_no_attribute_is_deprecated() -> None:
    for part in {name.partition(".")[0] for name in named()} - {"error"}:
        text = Path(str(import_module(f"{CONVENTIONS}.{part}_attributes").__file__)).read_text()
        for name in (one for one in named() if one.startswith(f"{part}.")):
            after = text.partition(f'"{name}"\n')[2].partition('"""\n\n')[0]
            assert "Deprecated: " not in after.partition("Final =")[0], name
