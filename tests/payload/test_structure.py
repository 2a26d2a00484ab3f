"""Whether the installed OpenTelemetry records structured values."""

import json

from opentelemetry.sdk.trace import TracerProvider

from runspan import OpenTelemetryCallbackHandler, Settings
from runspan.payload.structure import is_structure_recorded, structured
from tests.fakes import Model
from tests.tracing import Tracing


def test_older_spans_take_no_structure(monkeypatch, caplog):
    """Before OpenTelemetry 1.45 content is JSON, whatever a setting asks for, and one line says so."""
    is_structure_recorded.cache_clear()
    monkeypatch.setattr("runspan.payload.structure.version", lambda _: "1.44.2")
    try:
        tracing = Tracing(Settings(content_form="structured"))
        Model(tracing=tracing).invoke("x", tracing.config)
    finally:
        is_structure_recorded.cache_clear()
    assert json.loads(tracing.one("chat").attributes["gen_ai.input.messages"])[0]["role"] == "user"
    assert [record.getMessage().split(",")[0] for record in caplog.records] == ["content_form is 'structured'"]


def test_what_is_no_json_stays():
    """A text under a name that has JSON, but is none, is recorded as it is; integers beyond 64 bits become texts."""
    name = "gen_ai.tool.call.arguments"
    assert structured({name: "{no json"}) == {name: "{no json"}
    assert structured({name: '{"a": [18446744073709551615, 1]}'}) == {name: {"a": ["18446744073709551615", 1]}}


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
