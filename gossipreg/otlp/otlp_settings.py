"""Where spans go, and what OpenTelemetry's variables say of it.

Owns: the names and forms of these variables. A value that cannot be used is an error, which names the variable and
never shows a header: it may hold a token.

    OTEL_EXPORTER_OTLP_HEADERS, _COMPRESSION, _CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY     and with _TRACES_
    OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG
    OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES

Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and .../protocol/exporter/.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from gossipreg.errors import BadConfig
from gossipreg.tracing import Sampler

PATH = "/v1/traces"
PORTS = {"http": 80, "https": 443}
SHARES: dict[str, tuple[bool, float | None]] = {
    "always_on": (False, 1.0),
    "always_off": (False, 0.0),
    "traceidratio": (False, None),
    "parentbased_always_on": (True, 1.0),
    "parentbased_always_off": (True, 0.0),
    "parentbased_traceidratio": (True, None),
}
"""Samplers: whether the flag of a parent counts, and the share of the other traces; None: as the argument says."""
COMPRESSIONS = ("none", "gzip")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE = re.compile(r"[ -~]*")
_USER, _QUERY = re.compile(r"(?<=//).*@|^[^/]*@"), re.compile(r"([?#]).*", re.DOTALL)
_PAIRS = "write it as NAME=VALUE,NAME=VALUE"


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    scheme: str
    host: str
    port: int
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    gzip: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    sampler: Sampler = field(default_factory=Sampler)
    resource: tuple[tuple[str, str], ...] = ()
    """What the variables say of whose spans these are."""

    @property
    def shown(self) -> str:
        """The collector's URL, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"


def otlp_settings(
    url: str, share: float | None, environment: Mapping[str, str], *, flag: str = "--otlp"
) -> OtlpSettings:
    """`share` of the traces that begin here, 0 to 1; None: as the variables say. Raises BadConfig."""
    scheme, host, port, path = _place(url, flag)
    compression = _of_traces(environment, "COMPRESSION").lower() or "none"
    if compression not in COMPRESSIONS:
        raise BadConfig(f"OTEL_EXPORTER_OTLP_COMPRESSION is {compression!r:.80}: choose {' or '.join(COMPRESSIONS)}")
    certificate, key = _of_traces(environment, "CLIENT_CERTIFICATE"), _of_traces(environment, "CLIENT_KEY")
    if bool(certificate) != bool(key):
        raise BadConfig("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY: give both, or none")
    return OtlpSettings(
        scheme, host, port, path, _headers(environment), compression == "gzip",
        _of_traces(environment, "CERTIFICATE") or None, certificate or None, key or None,
        _sampler(environment) if share is None else Sampler(share), _resource(environment),
    )  # fmt: skip


def _place(url: str, flag: str) -> tuple[str, str, int, str]:
    example, shown = "give the base of the collector's URL, such as http://127.0.0.1:4318", _without_secrets(url)
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise BadConfig(f"{flag} {shown!r:.200} is no URL: {example}") from None
    if parts.scheme not in PORTS or not parts.hostname or any(one.isspace() for one in parts.netloc + parts.path):
        raise BadConfig(f"{flag} {shown!r:.200} is no http:// or https:// URL: {example}")
    if parts.username is not None or parts.password is not None:
        raise BadConfig(f"{flag}: the URL has a user or a password: give them in OTEL_EXPORTER_OTLP_HEADERS")
    if parts.query or parts.fragment:
        raise BadConfig(f"{flag} {shown!r:.200} has a query or a fragment: {example}")
    base = parts.path.rstrip("/")
    if base.endswith(PATH):
        raise BadConfig(f"{flag} {shown!r:.200} ends with {PATH}, which is appended: {example}")
    if not base.isascii() or not base.isprintable() or " " in base:
        raise BadConfig(f"{flag} {shown!r:.200}: write the path in ASCII, and the rest of it as %XX")
    return parts.scheme, parts.hostname, port or PORTS[parts.scheme], base + PATH


def _without_secrets(url: str) -> str:
    """The URL for an error: a user, a password, a query or a fragment may hold a token."""
    return _USER.sub("...@", _QUERY.sub(r"\1...", url.strip()))


def _of_traces(environment: Mapping[str, str], name: str) -> str:
    """The variable for traces goes before the one for all signals."""
    return (
        environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}") or ""
    ).strip()


def _headers(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    name = "OTEL_EXPORTER_OTLP_HEADERS"
    found = []
    for key, value in _pairs(name, _of_traces(environment, "HEADERS")):
        if _HEADER_NAME.fullmatch(key) is None or _HEADER_VALUE.fullmatch(value) is None:
            raise BadConfig(f"{name}: the header {key!r:.80} has a character that no header may have: {_PAIRS}")
        found.append((key, value))
    return tuple(found)


def _resource(environment: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    found = dict(_pairs("OTEL_RESOURCE_ATTRIBUTES", environment.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    if name := environment.get("OTEL_SERVICE_NAME", "").strip():
        found["service.name"] = name
    return tuple(found.items())


def _pairs(name: str, text: str) -> list[tuple[str, str]]:
    """W3C Baggage's form, without properties: values are percent-encoded."""
    found = []
    for pair in text.split(","):
        key, equals, value = pair.partition("=")
        if not pair.strip():
            continue
        if not equals or not key.strip():
            raise BadConfig(f"{name}: a part of it has no name and value: {_PAIRS}")
        found.append((unquote(key.strip()), unquote(value.strip())))
    return found


def _sampler(environment: Mapping[str, str]) -> Sampler:
    name = environment.get("OTEL_TRACES_SAMPLER", "").strip() or "parentbased_always_on"
    if name not in SHARES:
        raise BadConfig(f"OTEL_TRACES_SAMPLER is {name!r:.80}: choose {', '.join(SHARES)}")
    parent_based, share = SHARES[name]
    return Sampler(_share(environment.get("OTEL_TRACES_SAMPLER_ARG", "")) if share is None else share, parent_based)


def _share(text: str) -> float:
    try:
        share = float(text.strip() or 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise BadConfig(f"OTEL_TRACES_SAMPLER_ARG is {text!r:.80}: give a share from 0 to 1")
    return share
