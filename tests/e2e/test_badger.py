"""Jaeger on Badger, which can't hold long attributes."""

from tests.e2e.collector import Collector
from tests.e2e.jaeger import Jaeger
from tests.e2e.spans import tracer


def test_a_long_attribute_holds_up_nothing(start, tmp_path):
    """With JAEGER_STORAGE=badger the Collector cuts what Jaeger would refuse, with its whole batch, for ever."""
    jaeger = start(Jaeger(tmp_path, storage="badger"))
    collector = start(Collector(tmp_path, JAEGER_OTLP_ENDPOINT=jaeger.otlp, JAEGER_STORAGE="badger"))
    with tracer(collector) as spans:
        span = spans.start_span("long", attributes={"gen_ai.input.messages": "x" * 70_000})
        span.end()
    (stored,) = jaeger.wait_for_spans(f"{span.get_span_context().trace_id:032x}", 1)
    assert stored["attributes"] == {"gen_ai.input.messages": "x" * 60_000}
