"""Whether the installed OpenTelemetry records structured values."""

from opentelemetry.sdk.trace import TracerProvider

from runspan import OpenTelemetryCallbackHandler, Settings
from runspan.payload.structure import is_structure_recorded
from tests.fakes import Model
from tests.tracing import Tracing


def test_structure_is_given_to_spans_that_record_it(caplog):
    """Where spans of the installed OpenTelemetry drop structured values, content is JSON, and one line says why."""
    is_structure_recorded.cache_clear()
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("test")
    caplog.clear()
    is_kept = span.set_attribute("structure", [{"a": 1}]) or span.attributes.get("structure") == ({"a": 1},)
    caplog.clear()

    tracing = Tracing(Settings(content_form="structured"))
    OpenTelemetryCallbackHandler(settings=Settings(content_form="structured"))
    Model(tracing=tracing).invoke("x", tracing.config)

    content = tracing.one("chat").attributes["gen_ai.input.messages"]
    assert isinstance(content, tuple if is_kept else str)
    assert [record.getMessage().split(",")[0] for record in caplog.records] == (
        [] if is_kept else ["content_form is 'structured'"]
    )
