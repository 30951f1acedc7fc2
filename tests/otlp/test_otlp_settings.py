"""The collector's address, and OpenTelemetry's variables: what can be used is used, and the rest is named."""

import pytest

from gossipreg.errors import BadConfig
from gossipreg.otlp.otlp_settings import OtlpSettings, otlp_settings
from gossipreg.tracing import Sampler

URL = "http://127.0.0.1:4318"


def found(**environment: str) -> OtlpSettings:
    return otlp_settings(URL, None, environment)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
        ("https://otel.example.org/base/", "https://otel.example.org:443/base/v1/traces"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ],
)
def test_v1_traces_is_appended_to_the_base(url: str, shown: str) -> None:
    assert otlp_settings(url, None, {}).shown == shown


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("127.0.0.1:4318", "no http:// or https:// URL"),
        ("grpc://127.0.0.1:4317", "no http:// or https:// URL"),
        ("http://", "no http:// or https:// URL"),
        ("http://127.0.0.1:port", "is no URL"),
        ("http://127.0.0.1:4318/v1/traces", "ends with /v1/traces, which is appended"),
        ("http://u:secret@127.0.0.1:4318", "has a user or a password"),
        ("http://127.0.0.1:4318?a=b", "has a query"),
        ("http://127.0.0.1:4318?token=secret", "has a query"),
        ("http://127.0.0.1:4318#secret\nsecret", "has a query or a fragment"),
        ("grpc://u:secret@127.0.0.1:4317", "no http:// or https:// URL"),
        ("u:secret@127.0.0.1:4317", "no http:// or https:// URL"),
        ("http://u:secret@127.0.0.1:port", "'http://...@127.0.0.1:port' is no URL"),
        ("http://127.0.0.1:4318/\u00e9", "in ASCII"),
    ],
)
def test_a_url_that_is_none_says_what_to_give(url: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why) as caught:
        otlp_settings(url, None, {})
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_headers_are_percent_decoded_and_traces_go_first() -> None:
    assert found(OTEL_EXPORTER_OTLP_HEADERS="a=1,b=Bearer%20x%3Dy").headers == (("a", "1"), ("b", "Bearer x=y"))
    both = {"OTEL_EXPORTER_OTLP_HEADERS": "a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": " c = 3 , "}
    assert found(**both).headers == (("c", "3"),)


@pytest.mark.parametrize("text", ["token", "=secret", "a b=secret", "a=secret%0Abad", "a=secret%C3%A9"])
def test_a_header_that_cannot_be_sent_is_refused_unseen(text: str) -> None:
    with pytest.raises(BadConfig, match="OTEL_EXPORTER_OTLP_HEADERS") as caught:
        found(OTEL_EXPORTER_OTLP_HEADERS=text)
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "argument", "sampler"),
    [
        ("", "", Sampler(1.0, parent_based=True)),
        ("always_on", "", Sampler(1.0, parent_based=False)),
        ("always_off", "", Sampler(0.0, parent_based=False)),
        ("traceidratio", "0.25", Sampler(0.25, parent_based=False)),
        ("parentbased_traceidratio", "0.1", Sampler(0.1, parent_based=True)),
        ("parentbased_traceidratio", "", Sampler(1.0, parent_based=True)),
        ("parentbased_always_off", "0.3", Sampler(0.0, parent_based=True)),
    ],
)
def test_samplers_have_opentelemetrys_names(name: str, argument: str, sampler: Sampler) -> None:
    assert found(OTEL_TRACES_SAMPLER=name, OTEL_TRACES_SAMPLER_ARG=argument).sampler == sampler


def test_the_flag_goes_before_the_sampler_of_the_variables() -> None:
    assert otlp_settings(URL, 0.1, {"OTEL_TRACES_SAMPLER": "always_off"}).sampler == Sampler(0.1, parent_based=True)


def test_the_names_of_the_variables_are_opentelemetrys() -> None:
    from opentelemetry.sdk import environment_variables as known

    names = [
        "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_COMPRESSION",
        "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES",
    ]  # fmt: skip
    assert [name for name in names if getattr(known, name) != name] == []


def test_the_service_name_goes_before_the_attributes() -> None:
    variables = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=a,team=x%2Cy", "OTEL_SERVICE_NAME": "b"}
    assert dict(found(**variables).resource) == {"service.name": "b", "team": "x,y"}


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("OTEL_TRACES_SAMPLER", "often", "choose always_on"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", "choose none or gzip"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "k.pem", "give both, or none"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team", "NAME=VALUE"),
    ],
)
def test_a_variable_with_a_bad_value_is_named(name: str, value: str, why: str) -> None:
    with pytest.raises(BadConfig, match=why) as caught:
        found(**{name: value})
    assert name in str(caught.value)


@pytest.mark.parametrize("argument", ["-0.1", "1.1", "nan", "much"])
def test_a_share_is_between_0_and_1(argument: str) -> None:
    with pytest.raises(BadConfig, match="OTEL_TRACES_SAMPLER_ARG"):
        found(OTEL_TRACES_SAMPLER="traceidratio", OTEL_TRACES_SAMPLER_ARG=argument)
