"""Events of runs, as a real OTLP receiver gets them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

from runspan import semconv
from runspan.payload.writer import UNLIMITED
from runspan.signals.events import RunEvents
from tests.otlp_receivers import receive_bodies

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4"}
MESSAGES = [{"role": "user", "parts": [{"type": "text", "content": "Grüße"}]}]

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.dates()
_ANYTHING = st.recursive(
    _SCALARS,
    lambda values: st.lists(values) | st.dictionaries(_SCALARS, values) | st.tuples(values),
    max_leaves=10,
)


@pytest.fixture
def over_otlp():
    """Emit over HTTP: events, a span, the provider, and what arrives."""
    with receive_bodies() as (address, bodies):
        provider = LoggerProvider(shutdown_on_exit=False)
        exporter = OTLPLogExporter(endpoint=f"{address}/v1/logs")
        # Sent by force_flush alone: the exporter uses `random`, and Hypothesis takes any thread's use for a strategy's.
        by_flush = BatchLogRecordProcessor(exporter, schedule_delay_millis=3_600_000, max_export_batch_size=2048)
        provider.add_log_record_processor(by_flush)
        span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat gpt-4")
        yield RunEvents(provider), span, provider, bodies
        provider.shutdown()


def _deep(depth: int) -> list:
    value: list = ["bottom"]
    for _ in range(depth):
        value = [value]
    return value


def test_over_otlp(over_otlp):
    """What the conventions want as a structure is one in OTLP; what nests too deeply for OTLP is JSON."""
    events, span, provider, bodies = over_otlp
    cycle: list = []
    cycle.extend([cycle, cycle])
    content = {"gen_ai.input.messages": MESSAGES, "gen_ai.output.messages": _deep(60), "gen_ai.tool.definitions": cycle}
    events.details(span, lambda: (CHAT, content))
    assert provider.force_flush()
    request = ExportLogsServiceRequest.FromString(bodies[0])
    of_scope = request.resource_logs[0].scope_logs[0]
    (record,) = of_scope.log_records
    assert (of_scope.scope.name, of_scope.schema_url) == ("runspan", semconv.SCHEMA_URL)
    assert (record.event_name, record.severity_number) == ("gen_ai.client.inference.operation.details", 5)
    assert record.span_id == span.get_span_context().span_id.to_bytes(8, "big")
    values = {pair.key: pair.value for pair in record.attributes}
    (message,) = values["gen_ai.input.messages"].array_value.values
    assert [pair.key for pair in message.kvlist_value.values] == ["role", "parts"]
    assert values["gen_ai.output.messages"].string_value == "[" * 61 + '"bottom"' + "]" * 61
    assert [each.string_value for each in values["gen_ai.tool.definitions"].array_value.values] == ["<cycle>"] * 2


def test_hostile_content_over_otlp(over_otlp, quiet):
    """Whatever is told, the exporter can send it, and nothing is logged."""
    events, span, provider, bodies = over_otlp

    @given(_ANYTHING)
    def emit(data):
        events.custom(span, "any", data, write=UNLIMITED)
        events.details(span, lambda: ({}, {"gen_ai.input.messages": data}))
        sent.append(data)

    sent: list = []
    emit()
    assert provider.force_flush()
    requests = [ExportLogsServiceRequest.FromString(body) for body in bodies]
    records = [
        record
        for request in requests
        for of in request.resource_logs
        for s in of.scope_logs
        for record in s.log_records
    ]
    assert len(records) == 2 * len(sent)
    assert all(record.attributes for record in records)
