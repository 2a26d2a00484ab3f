"""A run is judged by a process that comes later, and Jaeger shows it."""

from tests.e2e.application import run


def test_an_evaluation_of_another_process_is_below_the_run(jaeger, collector, tmp_path):
    """The span of an evaluation is in the trace of the run, below its span, with the score."""
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.grpc, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    *_, traceparent = run(tmp_path, "judges.py", **environment).splitlines()
    _, trace_id, span_id, _ = traceparent.split("-")
    jaeger.wait_for_spans(trace_id, 1)
    run(tmp_path, "judges.py", traceparent, **environment)
    spans = {span["name"]: span for span in jaeger.wait_for_spans(trace_id, 2)}
    evaluation = spans["evaluation relevance"]
    assert evaluation["parent_span_id"] == spans["judged"]["span_id"] == span_id
    attributes = {name: value for name, value in evaluation["attributes"].items() if name.startswith("gen_ai.")}
    assert attributes == {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "fair",
    }
