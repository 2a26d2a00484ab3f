from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runspan.export.otlp.client import make_client
from runspan.export.otlp.credentials import Certificates
from runspan.export.otlp.result import Success
from runspan.export.otlp.target import OtlpTarget, endpoint_in_environment, resolve_target
from tests.export import clients
from tests.export.clients import request_of
from tests.otlp_receivers import GrpcReceiver, HttpReceiver

provider = clients.provider  # a fixture
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
    ("exporter", "protocol", "resolved"),
    [
        ("otlp_proto_grpc", None, ("grpc", "http://localhost:4317")),
        ("console, OTLP_proto_http", None, ("http/protobuf", "http://localhost:4318/v1/traces")),
        ("otlp_proto_grpc", "http/protobuf", ("http/protobuf", "http://localhost:4318/v1/traces")),
    ],
)
def test_an_exporter_that_says_its_protocol(monkeypatch, exporter, protocol, resolved):
    """The SDK's names of exporters choose the protocol, unless that is given."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", exporter)
    target = resolve_target(protocol=protocol)
    assert (target.protocol, target.endpoint) == resolved


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
            {},
            {"endpoint": "http://a b:4318"},
            "endpoint is 'http://a b:4318'; it must be an http or https URL, such as http://localhost:4318.",
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
        assert str(error).startswith("endpoint is '") or str(error).startswith('endpoint is "')  # noqa: PT017  either way is right here
    else:
        assert isinstance(target.destination, str)


def test_log_lines_keep_secrets():
    """The destination shows neither password nor query, and the representation no secret at all."""
    target = resolve_target(endpoint="https://me:word@a.b:1/in?key=secret", headers={"api-key": "secret"})
    assert target.endpoint == "https://me:word@a.b:1/in/v1/traces?key=secret"
    assert target.destination == "https://a.b:1/in/v1/traces"
    assert "api-key" not in repr(target)
    assert "word" not in repr(target)
    assert resolve_target(endpoint="me:word@a.b:1", protocol="grpc").destination == "a.b:1"


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("ftp://me:word@a.b/in?key=word", "'…@a.b/in'"),
        ("me:w?o@rd@a.b", "'…@a.b'"),
        ("a.b?key=word", "'a.b'"),
        (5, "5"),
    ],
)
@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_errors_keep_secrets(endpoint, shown, protocol):
    """The error of an endpoint that can't be used shows neither password nor query."""
    with pytest.raises(ValueError, match=r"^endpoint is ") as raised:
        resolve_target(endpoint=endpoint, protocol=protocol)
    assert str(raised.value).startswith(f"endpoint is {shown}; it must be")


@pytest.mark.parametrize("headers", ["x-api-key=word", ["word"], {"x-api-key": b"word"}, {1: "word"}, 5, []])
def test_headers_of_another_type_are_named_without_their_values(headers):
    """Headers that are no dictionary of texts are an error that says so, and shows no secret."""
    with pytest.raises(TypeError, match=r"^headers is a \w+; it must be a dictionary of texts") as raised:
        resolve_target(headers=headers)
    assert "word" not in str(raised.value)


@pytest.mark.parametrize(("name", "named"), [(ALL, True), (TRACES, True), ("OTEL_OTHER_", False)])
def test_an_endpoint_in_the_environment_is_seen(environment, name, named):
    """Either of the two variables names an endpoint."""
    environment({name + "ENDPOINT": "http://a:1"})
    assert endpoint_in_environment() is named


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 10.0),
        ({ALL + "TIMEOUT": "2.5"}, 2.5),
        ({ALL + "TIMEOUT": "2.5", TRACES + "TIMEOUT": " 7 "}, 7.0),
        ({ALL + "TIMEOUT": "10000"}, 10000.0),
    ],
)
def test_the_timeout_is_in_seconds(environment, variables, seconds):
    """As OpenTelemetry's exporters for Python take it; the variable for traces wins."""
    environment(variables)
    assert resolve_target().timeout_seconds == seconds


@pytest.mark.parametrize("text", ["ten", "0", "-1", "nan", "inf", "1s"])
def test_a_timeout_that_is_none_is_named(environment, text):
    """The error names the variable, its value and what is allowed."""
    environment({TRACES + "TIMEOUT": text})
    with pytest.raises(ValueError, match=r".") as raised:
        resolve_target()
    assert str(raised.value) == (
        f"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is {text!r}; it must be a number of seconds above 0, such as 10."
    )


@pytest.mark.parametrize(
    ("variables", "insecure"),
    [
        ({}, None),
        ({ALL + "INSECURE": "True"}, True),
        ({ALL + "INSECURE": "true", TRACES + "INSECURE": "false"}, False),
    ],
)
def test_whether_to_do_without_tls(environment, variables, insecure):
    """The variable for traces wins; it says something only of gRPC."""
    environment(variables)
    assert resolve_target(protocol="grpc").insecure is insecure
    assert resolve_target().insecure is None


def test_neither_true_nor_false_is_an_error(environment):
    """A value that means nothing is not taken for false."""
    environment({ALL + "INSECURE": "yes"})
    with pytest.raises(ValueError, match=r"^OTEL_EXPORTER_OTLP_INSECURE is 'yes'; it must be one of 'true', 'false'.$"):
        resolve_target(protocol="grpc")


def test_certificates_are_those_for_traces_then_those_for_all(environment):
    """Each of the three files is looked for on its own."""
    environment({ALL + "CERTIFICATE": "ca", ALL + "CLIENT_CERTIFICATE": "all", TRACES + "CLIENT_CERTIFICATE": "traces"})
    environment({ALL + "CLIENT_KEY": "key"})
    assert resolve_target().certificates == Certificates("ca", "traces", "key")


def test_a_key_without_a_certificate_is_an_error(environment):
    """It can't be what was meant."""
    environment({TRACES + "CLIENT_KEY": "key.pem"})
    with pytest.raises(ValueError, match=r".") as raised:
        resolve_target()
    assert str(raised.value) == (
        "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY is set, but no certificate for that key;"
        " set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE."
    )


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("key", [None, "key"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_files_that_cannot_be_used_are_named(environment, tmp_path, protocol, key, content):
    """What is no certificate, or not there, is an error when the client is built; the error names the file."""
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)
    for name, also in (("CERTIFICATE", ""), ("CLIENT_CERTIFICATE", f", key {key or 'in it'}")):
        certificates = Certificates(**{"authority": str(path)} if not also else {"client": str(path), "key": key})
        target = OtlpTarget(protocol, "https://127.0.0.1:1", certificates=certificates)
        with pytest.raises(ValueError, match=r".") as raised:
            make_client(target)
        began, _, remedy = str(raised.value).partition(" can't be used: ")
        assert began == f"OTEL_EXPORTER_OTLP_{name} ({path}{also})"
        assert remedy.endswith(". Name a readable PEM file.")
        make_client(
            replace(target, endpoint="http://127.0.0.1:1")
        ).close()  # where they are not used they may be missing


@pytest.mark.parametrize(("protocol", "transport"), [("http/protobuf", "HTTP"), ("grpc", "GRPC")])
def test_a_credential_provider_that_is_none_is_an_error(environment, provider, protocol, transport):
    """One that isn't installed and one that makes something else are named when the client is built."""
    variable = f"OTEL_PYTHON_EXPORTER_OTLP_{transport}_CREDENTIAL_PROVIDER"
    target = OtlpTarget(protocol, "https://127.0.0.1:1")
    provider("builtins:dict")
    environment({variable: "theirs"})
    with pytest.raises(ValueError, match=r".") as missing:
        make_client(target)
    assert str(missing.value) == (
        f"{variable} is 'theirs', but no installed package has an entry point of that name in the group"
        " opentelemetry_otlp_credential_provider; install the one that has it, or correct the name."
    )
    environment({variable: "ours"})
    with pytest.raises(ValueError, match="The credential provider 'ours' makes a dict; name one that makes a "):
        make_client(target)


@pytest.mark.parametrize(
    ("protocol", "name", "value"),
    [
        ("http/protobuf", "a b", "secret"),
        ("http/protobuf", "", "secret"),
        ("http/protobuf", "key", "secret\r\nother: x"),
        ("http/protobuf", "key", " secret"),
        ("http/protobuf", "key", "\xa0secret"),
        ("http/protobuf", "key", "secret\u20ac"),
        ("grpc", "key", "secret\xe4"),
        ("grpc", "grpc-timeout", "secret"),
        ("grpc", "key-bin", "secret"),
        ("grpc", "k:y", "secret"),
    ],
)
def test_headers_that_cannot_be_sent_are_named_without_their_value(protocol, name, value):
    """The error comes at once and keeps the secret."""
    with pytest.raises(ValueError, match=r".") as raised:
        resolve_target(protocol=protocol, headers={name: value})
    assert str(raised.value) == (
        f"The header {name!r} can't be sent by {protocol}; names are letters, digits and hyphens, values"
        " printable ASCII that doesn't begin with a space."
    )


@pytest.mark.parametrize(("protocol", "receiver_class"), [("http/protobuf", HttpReceiver), ("grpc", GrpcReceiver)])
@given(
    headers=st.dictionaries(
        st.from_regex(r"x-[0-9A-Za-z_.-]{1,20}", fullmatch=True), st.text(st.characters(max_codepoint=255)), max_size=3
    )
)
@example(headers={"x-a": "secret", "x-b": "a\tb \xe4"})
@example(headers={"x-a": "\xa0", "x-b": ""})
@settings(max_examples=20)
def test_headers_that_are_taken_can_be_sent(protocol, receiver_class, headers):
    """What is not refused at once arrives."""
    with receiver_class() as receiver:
        try:
            target = resolve_target(endpoint=receiver.endpoint, protocol=protocol, headers=headers)
        except ValueError:
            return
        client = make_client(target)
        assert client.send(request_of("a")) == Success()
        client.close()
        got = receiver.headers[0]
        assert {name: got[name].strip() for name in target.headers} == {
            name: value.strip() for name, value in target.headers.items()
        }
