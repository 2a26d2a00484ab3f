"""Evaluations: events and spans below what is judged, whoever names it and however."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.runnables import RunnableLambda
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import runspan
from runspan._guard import faults
from runspan.arguments import shown
from tests.fakes import Model
from tests.programs import run_python
from tests.recorders import Driven, Processor

REMEDY = "give the traceparent that handler.traceparent_for(run_id) returns, a span, or the id of a run of this process"


class Logs:
    """A logger provider in memory."""

    def __init__(self) -> None:
        self.exporter = InMemoryLogRecordExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self.exporter))

    @property
    def events(self) -> list[tuple]:
        """Name, severity, trace id, span id, flags and attributes of each event."""
        return [
            (
                record.event_name,
                record.severity_number.value,
                record.trace_id,
                record.span_id,
                int(record.trace_flags),
                dict(record.attributes),
            )
            for record in (each.log_record for each in self.exporter.get_finished_logs())
        ]


@pytest.fixture
def logs():
    """Emit into memory."""
    return Logs()


@pytest.fixture
def judged(tracing):
    """The id of a run that is over."""
    run_id = uuid.uuid4()
    RunnableLambda(lambda x: x, name="judged").invoke("x", {**tracing.config, "run_id": run_id})
    return run_id


def test_every_way_to_name_what_is_judged(tracing, logs, judged):
    """A traceparent, a span, its context and a run id lead to the same event, which has the convention's attributes."""
    span = tracing.one("judged")
    traceparent = tracing.handler.traceparent_for(judged)
    for named in (traceparent, span, span.context, judged, str(judged)):
        runspan.record_evaluation(
            named,
            "relevance",
            value=0.5,
            label="good",
            explanation="to the point",
            response_id="msg_1",
            logger_provider=logs.provider,
        )
    attributes = {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.5,
        "gen_ai.evaluation.score.label": "good",
        "gen_ai.evaluation.explanation": "to the point",
        "gen_ai.response.id": "msg_1",
    }
    expected = (
        "gen_ai.evaluation.result",
        9,
        span.context.trace_id,
        span.context.span_id,
        int(span.context.trace_flags),
        attributes,
    )
    assert logs.events == [expected] * 5
    assert len(tracing.spans) == 1


@pytest.mark.usefixtures("judged")
def test_a_span_of_a_recording_is_judged(tracing, logs):
    """A span that was exported, in protobuf or as the Collector writes JSON, says by itself what is judged."""
    message = encode_spans(tracing.spans).resource_spans[0].scope_spans[0].spans[0]
    context = tracing.one("judged").context
    written = {"traceId": f"{context.trace_id:032X}", "spanId": f"{context.span_id:016x}", "name": "judged"}
    for named in (message, written):
        runspan.record_evaluation(named, "a", value=1, logger_provider=logs.provider)
    assert [event[2:4] for event in logs.events] == [(context.trace_id, context.span_id)] * 2
    with pytest.raises(TypeError, match=r"^trace is \{'name': 'judged'\}; give the traceparent"):
        runspan.record_evaluation({"name": "judged"}, "a", value=1)


def test_a_run_is_judged_while_it_is_open(tracing, logs):
    """The current span can be judged inside of its run, and so can the run by its id."""
    run_id = uuid.uuid4()

    def judge(x):
        runspan.record_evaluation(trace.get_current_span(), "a", value=True, logger_provider=logs.provider)
        runspan.record_evaluation(run_id, "b", label="no", logger_provider=logs.provider)
        return x

    RunnableLambda(judge, name="open").invoke("x", {**tracing.config, "run_id": run_id})
    span_id = tracing.one("open").context.span_id
    assert [(event[3], event[5]) for event in logs.events] == [
        (span_id, {"gen_ai.evaluation.name": "a", "gen_ai.evaluation.score.value": 1.0}),
        (span_id, {"gen_ai.evaluation.name": "b", "gen_ai.evaluation.score.label": "no"}),
    ]


def test_a_traceparent_is_that_of_the_runs_span(tracing, judged):
    """It names trace, span and whether it was sampled; of a run that is not known there is none."""
    context = tracing.one("judged").context
    assert tracing.handler.traceparent_for(str(judged)) == (
        f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    )
    assert tracing.handler.traceparent_for(uuid.uuid4()) is None
    with pytest.raises(ValueError, match=r"^run_id is 'lc_1', which is no UUID; pass the run_id of a callback"):
        tracing.handler.traceparent_for("lc_1")


def test_another_process_judges(tracing, judged):
    """A traceparent is all that another process needs, whether it knows the run or not."""
    span = tracing.one("judged").context
    ended = run_python(f"""
        import runspan
        from opentelemetry import _logs
        from tests.test_evaluations import Logs
        logs = Logs()
        _logs.set_logger_provider(logs.provider)
        runspan.record_evaluation({tracing.handler.traceparent_for(judged)!r}, "thumbs", value=-1)
        emit(logs.events)
    """)
    attributes = {"gen_ai.evaluation.name": "thumbs", "gen_ai.evaluation.score.value": -1.0}
    assert ended.emitted == [
        [["gen_ai.evaluation.result", 9, span.trace_id, span.span_id, int(span.trace_flags), attributes]]
    ]


def test_by_choice_there_is_a_span(tracing, logs, judged):
    """The span is below the judged one, has the same attributes and one link to it, and means no run to callbacks."""
    heard = Driven()
    tracing.provider.add_span_processor(runspan.CallbackSpanProcessor([heard]))
    runspan.record_evaluation(judged, "relevance", value=1, as_span=True, logger_provider=logs.provider)
    above = tracing.one("judged").context
    span = tracing.one("evaluation relevance")
    assert (span.context.trace_id, span.parent.span_id) == (above.trace_id, above.span_id)
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [(above.trace_id, above.span_id)]
    assert span.links[0].attributes == {"langchain.link.type": "evaluates"}
    assert dict(span.attributes) == logs.events[0][5]
    assert heard.heard == []
    runspan.replay(tracing.spans, callbacks=[heard])
    assert [each for each in heard.runs if "evaluation" in each] == []


def test_where_the_span_of_a_traceparent_goes(tracing, judged):
    """A span whose provider is not known goes to the one that is named; below a span that was not sampled is none."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    traceparent = tracing.handler.traceparent_for(judged)
    for flags in ("01", "00"):
        header = traceparent[:-2] + flags
        runspan.record_evaluation(header, "a", value=1, as_span=True, tracer_provider=provider)
    (span,) = exporter.get_finished_spans()
    assert span.parent.span_id == tracing.one("judged").context.span_id
    assert len(tracing.spans) == 1


def test_listeners_of_a_block_hear_the_span(tracing, judged):
    """Within ``invocation`` the span reaches the block's processors, so a tenant's backend has the evaluation."""
    tenant, other = Processor(), Processor()
    with runspan.invocation(span_processors=[tenant], tracer_provider=tracing.provider):
        runspan.record_evaluation(judged, "a", value=1, as_span=True)
    with runspan.invocation(span_processors=[other], tracer_provider=tracing.provider):
        pass
    assert (tenant.started, tenant.ended, other.ended) == (["evaluation a"], ["evaluation a"], [])


def test_a_run_that_two_providers_trace(tracing, logs):
    """Each of its spans is judged, and each provider gets the evaluation's span below its own."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    second = runspan.OpenTelemetryCallbackHandler(tracer_provider=provider)
    run_id = uuid.uuid4()
    run = RunnableLambda(lambda x: x, name="run")
    run.invoke("x", {"callbacks": [tracing.handler, second], "run_id": run_id})
    runspan.record_evaluation(run_id, "a", value=1, as_span=True, logger_provider=logs.provider)
    expected = []
    for spans in (tracing.spans, exporter.get_finished_spans()):
        judged, evaluation = spans
        assert evaluation.parent.span_id == judged.context.span_id
        expected.append(judged.context.span_id)
    assert sorted(event[3] for event in logs.events) == sorted(expected)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"trace": "trace 1"}, ValueError, f"trace is 'trace 1'; {REMEDY}."),
        ({"trace": 7}, TypeError, f"trace is 7; {REMEDY}."),
        ({"trace": f"00-{0:032x}-{0:016x}-01"}, ValueError, f"trace is '00-{0:032x}-{0:016x}-01'; {REMEDY}."),
        ({"value": float("nan")}, ValueError, "value is nan; it must be a finite number."),
        ({"value": -(10**400)}, ValueError, f"value is {shown(-(10**400))}; it must be a finite number."),
        ({"value": "high"}, TypeError, "value is 'high'; it must be a number."),
        ({"label": 1}, TypeError, "label is 1; it must be a str."),
        ({"explanation": b""}, TypeError, "explanation is b''; it must be a str."),
        ({"name": ""}, ValueError, "name is ''; it must be the name of a metric, such as relevance."),
        ({"name": None}, TypeError, "name is None; it must be the name of a metric, such as relevance."),
        ({"value": None}, ValueError, "The evaluation 'a' says nothing; give a value, a label or an explanation."),
        (
            {"tracer_provider": 1},
            TypeError,
            "tracer_provider is 1, not an OpenTelemetry TracerProvider; pass one, or None",
        ),
    ],
)
def test_mistakes_are_errors_of_one_line(logs, arguments, kind, message):
    """What can't be recorded is an error that names the argument, the value and what to give."""
    given = {"trace": f"00-{1:032x}-{1:016x}-01", "name": "a", "value": 1, "logger_provider": logs.provider}
    with pytest.raises(kind) as error:
        runspan.record_evaluation(**given | arguments)
    assert (type(error.value), str(error.value)) == (kind, message)
    assert logs.events == []


def test_a_run_that_is_not_remembered(tracing):
    """The error says what to keep instead of the id."""
    with pytest.raises(LookupError, match=r"does not remember.*keep what handler\.traceparent_for\(run_id\) returns"):
        runspan.record_evaluation(uuid.uuid4(), "a", value=1)


def test_without_providers_nothing_happens_but_a_warning():
    """Where no logger provider is set a warning says so, once; to judge a run that nobody traced is no error."""
    ended = run_python(f"""
        import uuid, runspan
        from langchain_core.runnables import RunnableLambda
        logging.basicConfig()
        run_id = uuid.uuid4()
        handler = runspan.OpenTelemetryCallbackHandler()
        RunnableLambda(lambda x: x).invoke("x", {{"callbacks": [handler], "run_id": run_id}})
        runspan.record_evaluation(run_id, "a", value=1)
        emit(handler.traceparent_for(run_id))
        for _ in range(2):
            runspan.record_evaluation("00-{1:032x}-{1:016x}-01", "a", value=1)
        runspan.record_evaluation("00-{1:032x}-{1:016x}-01", "a", value=1, as_span=True)
    """)
    assert ended.emitted == [None]
    untraced, line = ended.stderr
    assert "its spans go nowhere" in untraced
    assert "no OpenTelemetry logger provider is set" in line
    assert "as_span=True" in line


def test_a_processor_that_raises_disturbs_nobody(tracing, judged):
    """What the application's own processors raise stays away from who judges."""

    class Broken(Processor):
        def on_start(self, span, parent_context=None):
            raise RuntimeError

    tracing.provider.add_span_processor(Broken())
    before = faults()
    runspan.record_evaluation(judged, "a", value=1, as_span=True)
    assert faults() == before + 1


@given(st.text(min_size=1), st.text(), st.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_is_recorded(name, explanation, value):
    """Whatever is emitted arrives as text that can be encoded, and whatever number as a float."""
    logs = Logs()
    runspan.record_evaluation(
        f"00-{1:032x}-{1:016x}-01", name, value=value, explanation=explanation, logger_provider=logs.provider
    )
    ((*_, attributes),) = logs.events
    attributes["gen_ai.evaluation.name"].encode()
    attributes["gen_ai.evaluation.explanation"].encode()
    assert attributes["gen_ai.evaluation.score.value"] == value


def test_the_link_to_a_trace(tracing, monkeypatch):
    """A template makes links of run ids; without one, or without a trace, there is none."""
    run_id = uuid.uuid4()
    assert tracing.handler.trace_url_for(run_id) is None
    monkeypatch.setenv("RUNSPAN_TRACE_URL", 'https://g.example/explore?q={"id":"{trace_id}"}')
    handler = runspan.OpenTelemetryCallbackHandler(tracer_provider=tracing.provider)
    Model().invoke("x", {"callbacks": [handler], "run_id": run_id})
    assert handler.trace_url_for(run_id) == f'https://g.example/explore?q={{"id":"{handler.trace_id_for(run_id)}"}}'
    assert handler.trace_url_for(uuid.uuid4()) is None
    assert tracing.handler.trace_url_for(run_id) is None
    with pytest.raises(ValueError, match=r"^Settings: trace_url = .*Write \{trace_id\} where the id belongs"):
        runspan.Settings(trace_url="http://localhost:16686/")


def test_the_console_prints_the_link():
    """With the variable set the line of the trace id has the link, too; a template that is none is an error."""
    program = """
        from opentelemetry import trace
        try:
            handle = configure(console=True)
            end("root")
            handle.shutdown()
        except ValueError as error:
            print(error)
    """
    lines = run_python(program, as_json=False, RUNSPAN_TRACE_URL="http://localhost:16686/trace/{trace_id}").emitted
    trace_id = lines[0].split()[1]
    assert lines[0] == f"trace {trace_id}  http://localhost:16686/trace/{trace_id}"
    (line,) = run_python(program, as_json=False, RUNSPAN_TRACE_URL="http://localhost:16686").emitted
    assert line.startswith("Settings: RUNSPAN_TRACE_URL = 'http://localhost:16686' is not allowed. Write {trace_id}")
