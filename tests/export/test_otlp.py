import pytest
from hypothesis import given
from hypothesis import strategies as st

from runspan.export.otlp import OtlpTarget, endpoint_in_environment, resolve_target
from tests.otlp_receivers import HttpReceiver

TRACES = "OTEL_EXPORTER_OTLP_TRACES_"
ALL = "OTEL_EXPORTER_OTLP_"


@pytest.fixture
def environment(monkeypatch):
    def set_all(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("variables", "arguments", "target"),
    [
        ({}, {}, OtlpTarget("http/protobuf", "http://localhost:4318/v1/traces")),
        ({}, {"protocol": "GRPC"}, OtlpTarget("grpc", "http://localhost:4317")),
        ({}, {"endpoint": "https://a.b/otlp/"}, OtlpTarget("http/protobuf", "https://a.b/otlp/v1/traces")),
        ({}, {"endpoint": "http://a:1/v1/traces"}, OtlpTarget("http/protobuf", "http://a:1/v1/traces")),
        ({}, {"endpoint": "http://a/?key=b"}, OtlpTarget("http/protobuf", "http://a/v1/traces?key=b")),
        ({}, {"endpoint": "a.b:4317", "protocol": "grpc"}, OtlpTarget("grpc", "a.b:4317")),
        ({}, {"endpoint": "[::1]:4317", "protocol": "grpc"}, OtlpTarget("grpc", "[::1]:4317")),
        ({ALL + "ENDPOINT": "http://all:1"}, {}, OtlpTarget("http/protobuf", "http://all:1/v1/traces")),
        ({ALL + "ENDPOINT": " "}, {}, OtlpTarget("http/protobuf", "http://localhost:4318/v1/traces")),
        (
            {ALL + "ENDPOINT": "http://all:1", TRACES + "ENDPOINT": "http://traces:2/in"},
            {},
            OtlpTarget("http/protobuf", "http://traces:2/in"),
        ),
        (
            {TRACES + "ENDPOINT": "http://traces:2", TRACES + "PROTOCOL": "http/protobuf", ALL + "PROTOCOL": "grpc"},
            {"endpoint": "http://argument:3"},
            OtlpTarget("http/protobuf", "http://argument:3/v1/traces"),
        ),
        (
            {ALL + "PROTOCOL": "grpc", ALL + "COMPRESSION": "none", TRACES + "COMPRESSION": "deflate"},
            {},
            OtlpTarget("grpc", "http://localhost:4317", "deflate"),
        ),
        (
            {ALL + "HEADERS": "api-key=all,tenant=a%20b"},
            {"headers": {"Api-Key": "argument"}},
            OtlpTarget(
                "http/protobuf", "http://localhost:4318/v1/traces", "gzip", {"api-key": "argument", "tenant": "a b"}
            ),
        ),
    ],
)
def test_arguments_win_then_traces_then_all(environment, variables, arguments, target):
    """Arguments win over the variables for traces, these over the ones for all signals; then the defaults."""
    environment(variables)
    assert resolve_target(**arguments) == target


@pytest.mark.parametrize(
    ("variables", "arguments", "message"),
    [
        ({}, {"protocol": "http/json"}, "protocol is 'http/json'; it must be one of 'http/protobuf', 'grpc'."),
        (
            {ALL + "PROTOCOL": "smoke"},
            {},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'smoke'; it must be one of 'http/protobuf', 'grpc'.",
        ),
        (
            {TRACES + "COMPRESSION": "zip"},
            {},
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION is 'zip'; it must be one of 'none', 'deflate', 'gzip'.",
        ),
        (
            {},
            {"endpoint": "localhost:4318"},
            "endpoint is 'localhost:4318'; it must be an http or https URL, such as http://localhost:4318.",
        ),
        (
            {},
            {"endpoint": "localhost", "protocol": "grpc"},
            "endpoint is 'localhost'; it must be an http or https URL or host:port, such as http://localhost:4317.",
        ),
        (
            {ALL + "ENDPOINT": "http://a:port"},
            {},
            (
                "OTEL_EXPORTER_OTLP_ENDPOINT is 'http://a:port'; it must be an http or https URL,"
                " such as http://localhost:4318."
            ),
        ),
    ],
)
def test_what_cannot_be_used_is_named(environment, variables, arguments, message):
    """The error names the option or variable, its value and what is allowed."""
    environment(variables)
    with pytest.raises(ValueError, match=r".") as raised:
        resolve_target(**arguments)
    assert str(raised.value) == message


@given(endpoint=st.text(), protocol=st.sampled_from(["grpc", "http/protobuf"]))
def test_any_text_is_an_endpoint_or_a_value_error(endpoint, protocol):
    """No text makes another error than the one that explains itself, and each target can be logged."""
    try:
        target = resolve_target(endpoint=endpoint, protocol=protocol)
    except ValueError as error:
        assert f"endpoint is {endpoint!r}" in str(error)  # noqa: PT017  either way is right here
    else:
        assert isinstance(target.destination, str)


def test_log_lines_keep_secrets():
    """The destination shows neither password nor query, and the representation no headers."""
    target = resolve_target(endpoint="https://me:word@a.b:1/in?key=secret", headers={"api-key": "secret"})
    assert target.endpoint == "https://me:word@a.b:1/in/v1/traces?key=secret"
    assert target.destination == "https://a.b:1/in/v1/traces"
    assert "api-key" not in repr(target)


@pytest.mark.parametrize(("name", "named"), [(ALL, True), (TRACES, True), ("OTEL_OTHER_", False)])
def test_an_endpoint_in_the_environment_is_seen(environment, name, named):
    """Either of the two variables names an endpoint."""
    environment({name + "ENDPOINT": "http://a:1"})
    assert endpoint_in_environment() is named


@pytest.mark.parametrize(("compression", "encoding"), [("", "gzip"), ("none", None), ("deflate", "deflate")])
def test_requests_are_compressed_unless_told_otherwise(environment, delivery, compression, encoding):
    """Requests are gzipped by default; the standard variable changes that."""
    environment({ALL + "COMPRESSION": compression, ALL + "HEADERS": "tenant=a"})
    with HttpReceiver() as receiver:
        processor, tracer = delivery(endpoint=receiver.endpoint)
        tracer.start_span("small").end()
        assert processor.force_flush(5_000) is True
        assert receiver.paths == ["/v1/traces"]
        assert (receiver.headers[0].get("content-encoding"), receiver.headers[0]["tenant"]) == (encoding, "a")
