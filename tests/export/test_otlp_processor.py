import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider

from runspan.export.processor import OtlpSpanProcessor
from tests.export.memory import end_spans
from tests.otlp_receivers import GrpcReceiver, HttpReceiver


@pytest.fixture
def tracer_of():
    """Make a tracer whose spans go to a processor."""
    processors = []

    def make(processor):
        processors.append(processor)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(processor)
        return provider.get_tracer("test")

    yield make
    for processor in processors:
        processor.shutdown(1)


@pytest.mark.parametrize(("receiver_class", "protocol"), [(HttpReceiver, None), (GrpcReceiver, "grpc")])
def test_arguments_say_where_spans_go(monkeypatch, tracer_of, receiver_class, protocol):
    """Endpoint, protocol and headers are those of the arguments, on top of the headers in the environment."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://nowhere.invalid:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "stage=test")
    with receiver_class() as receiver:
        processor = OtlpSpanProcessor(receiver.endpoint, protocol=protocol, headers={"X-Api-Key": "k"})
        end_spans(tracer_of(processor), "a", "b")
        assert processor.force_flush(10_000) is True
        assert [span["name"] for span in receiver.received()] == ["a", "b"]
        assert [(headers["x-api-key"], headers["stage"]) for headers in receiver.headers] == [("k", "test")]


def test_the_environment_is_enough(monkeypatch, tracer_of):
    """Without arguments the variables say where spans go and how they are queued."""
    with HttpReceiver() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", f"{receiver.endpoint}/in")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
        processor = OtlpSpanProcessor()
        end_spans(tracer_of(processor), "a", "b", "c")
        assert processor.force_flush(10_000) is True
        assert [span["name"] for span in receiver.received()] == ["a", "b", "c"]
        assert receiver.paths == ["/in", "/in"]


@pytest.mark.parametrize(
    ("variable", "arguments", "message"),
    [
        ("", {"protocol": "http"}, "protocol is 'http'; it must be one of 'http/protobuf', 'grpc'."),
        (
            "",
            {"endpoint": "localhost"},
            "endpoint is 'localhost'; it must be an http or https URL, such as http://localhost:4318.",
        ),
        (
            "OTEL_BSP_MAX_QUEUE_SIZE=-1",
            {},
            "OTEL_BSP_MAX_QUEUE_SIZE is '-1'; it must be a whole number above 0.",
        ),
        (
            "OTEL_EXPORTER_OTLP_TIMEOUT=ten",
            {},
            "OTEL_EXPORTER_OTLP_TIMEOUT is 'ten'; it must be a number of seconds above 0, such as 10.",
        ),
        ("", {"durability": "always"}, "durability is 'always'; it must be 'on-failure' or 'write-ahead'."),
        (
            "",
            {"durability": "write-ahead"},
            "durability is 'write-ahead' without a spool; name a folder: spool=PATH.",
        ),
    ],
)
def test_what_cannot_be_used_is_an_error_at_once(monkeypatch, variable, arguments, message):
    """A bad argument or variable is an error of the construction that names it."""
    if variable:
        monkeypatch.setenv(*variable.split("="))
    with pytest.raises(ValueError, match=r".") as raised:
        OtlpSpanProcessor(**arguments)
    assert str(raised.value) == message


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_what_cannot_be_built_is_a_failure_with_its_reason(monkeypatch, tracer_of, caplog, protocol):
    """A certificate that can't be read is an error of ``check``, and logged with the spans that wait for it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere.pem")
    processor = OtlpSpanProcessor("https://127.0.0.1:1", protocol=protocol)
    with pytest.raises(ValueError, match=r"nowhere\.pem.*Name a readable PEM file"):
        processor.check()
    end_spans(tracer_of(processor), "waits")
    assert processor.force_flush(200) is False
    assert "/nowhere.pem" in caplog.text


def test_tenants_cannot_share_a_spool(tmp_path):
    """The room of a spool is for one set of headers, so that no tenant takes another's; the same again is fine."""
    path = tmp_path / "spool"
    first = OtlpSpanProcessor("http://127.0.0.1:1", headers={"x-tenant": "a"}, spool=path)
    second = OtlpSpanProcessor("http://127.0.0.1:1", headers={"x-tenant": "a"}, spool=path)
    with pytest.raises(
        ValueError, match=r"in use for http://127.0.0.1:1/v1/traces with other headers.*a folder for each"
    ):
        OtlpSpanProcessor("http://127.0.0.1:1", headers={"x-tenant": "b"}, spool=path)
    for processor in (first, second):
        processor.shutdown(0)


def test_a_processor_costs_no_connection_before_it_has_spans():
    """Neither making a processor nor shutting it down imports what sends: requests, an exporter, or grpc unless it is
    asked for: when Python exits that can't be imported any more."""
    code = (
        "import sys, runspan; imported = set(sys.modules)  # LangChain has requests already\n"
        "from runspan.export.processor import OtlpSpanProcessor\n"
        "OtlpSpanProcessor().shutdown()\n"
        "senders = ('runspan.export.otlp.http', 'grpc', 'requests', 'urllib3')\n"
        "print([module for module in set(sys.modules) - imported if module.startswith(senders)])\n"
        "OtlpSpanProcessor(protocol='grpc'); print('grpc' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "True"]
