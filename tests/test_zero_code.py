"""Zero code: every run of the process is traced, though no handler is passed."""

import contextlib
import os
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import context as langchain_context

import runspan
from runspan import OpenTelemetryCallbackHandler, RunspanInstrumentor, Settings
from tests.fakes import ASKED, AgentModel, Model, straight_graph, tool
from tests.otlp_receivers import GrpcReceiver, HttpReceiver
from tests.programs import run_python
from tests.tracing import Tracing

MESSAGES = "gen_ai.input.messages"


@pytest.fixture
def instrumented():
    """Trace into memory without passing a handler."""
    tracing = Tracing()

    def instrument(settings=None):
        return runspan.instrument(tracer_provider=tracing.provider, settings=settings)

    tracing.instrument = instrument
    yield tracing
    runspan.uninstrument()


def chain(name="chain", then=lambda x: x):
    return RunnableLambda(then, name=name)


@pytest.mark.newest
def test_each_run_has_its_span(instrumented):
    """A chain, what it calls, and an agent are traced as with a handler."""
    from langchain.agents import create_agent

    instrumented.instrument()
    (chain("first") | chain("second")).invoke(1)
    create_agent(AgentModel(), [tool(instrumented)], name="guide").invoke(ASKED)
    assert instrumented.text() == (
        "RunnableSequence\n  first\n  second\n"
        "invoke_agent guide\n  model\n    chat\n  tools\n    execute_tool look\n      tool work\n  model\n    chat"
    )


async def test_in_any_thread_and_task(instrumented):
    """What starts in a thread without the context, and in a task, is traced too."""
    instrumented.instrument()
    thread = threading.Thread(target=chain("threaded").invoke, args=(1,))
    thread.start()
    thread.join(30)
    await chain("awaited").ainvoke(1)
    assert sorted(span.name for span in instrumented.spans) == ["awaited", "threaded"]


def test_after_uninstrument_there_is_none(instrumented):
    """No handler is added any more; instrumenting again registers no second hook, and adds one handler again."""
    instrumented.instrument()
    chain().invoke(1)
    hooks = len(langchain_context._configure_hooks)
    runspan.uninstrument()
    chain().invoke(1)
    assert len(instrumented.spans) == 1
    for _ in range(3):
        instrumented.instrument()
        runspan.uninstrument()
    instrumented.instrument()
    chain().invoke(1)
    assert len(instrumented.spans) == 2
    assert len(langchain_context._configure_hooks) == hooks


def test_a_run_in_the_midst_of_it_ends(instrumented):
    """What has begun when it ends is traced to its end, with what is called in it."""
    instrumented.instrument()
    inner = chain("inner")
    chain("outer", lambda x: runspan.uninstrument() or inner.invoke(x)).invoke(1)
    assert instrumented.text() == "outer\n  inner"


def test_a_second_call_says_so(instrumented, caplog):
    """The first call stays in force, and its handler is returned."""
    first = instrumented.instrument()
    assert instrumented.instrument() is first
    assert "uninstrument()" in caplog.text


def test_by_opentelemetrys_instrumentor(instrumented):
    """The instrumentor does the same, with OpenTelemetry's arguments."""
    RunspanInstrumentor().instrument(tracer_provider=instrumented.provider)
    try:
        chain().invoke(1)
    finally:
        RunspanInstrumentor().uninstrument()
    chain().invoke(1)
    assert instrumented.text() == "chain"


def fail(given):
    raise ValueError(f"{given.text}: no answer to the question")


class Heard(BaseCallbackHandler):
    """Notes the runs that it hears."""

    def __init__(self):
        self.names = []

    def on_chain_start(self, serialized, inputs, *, name=None, **kwargs):
        self.names.append(name)


@pytest.mark.parametrize("is_inner", [False, True])
def test_beside_a_runtime_handler_there_is_one_span(instrumented, is_inner):
    """A run that is given a handler as well has one span, and the handler's listeners hear it."""
    instrumented.instrument()
    heard = Heard()
    handler = OpenTelemetryCallbackHandler(tracer_provider=instrumented.provider, callbacks=[heard])
    config = {"callbacks": [handler]}
    inner = chain("inner")
    chain("outer", lambda x: inner.invoke(x, config if is_inner else None)).invoke(1, None if is_inner else config)
    assert instrumented.text() == "outer\n  inner"
    assert heard.names == (["inner"] if is_inner else ["outer", "inner"])


def asked(tracing, handler, way):
    """Ask a model that has the handler: of the call, or in its constructor, where LangChain calls it last."""
    config = {"callbacks": [handler], "metadata": {"user_id": "anna"}}
    if way == "constructor":
        model = Model(callbacks=[handler])
        (chain("before") | model).invoke("the question", {"metadata": {"user_id": "anna"}})
    else:
        Model().invoke("the question", config)
    return tracing.one("chat").attributes


@pytest.mark.parametrize("way", ["call", "constructor"])
def test_content_is_off_and_has_no_vote(instrumented, way):
    """By default no content is recorded; a handler that a run is given decides alone about that run."""
    instrumented.instrument()
    with contextlib.suppress(ValueError):
        (Model() | chain(then=fail)).invoke("the question", {"metadata": {"user_id": "anna"}, "tags": ["a question"]})
    assert len(instrumented.spans) == 3
    assert not [span.to_json() for span in instrumented.spans if re.search("question|anna|three", span.to_json())]
    instrumented.exporter.clear()
    attributes = asked(instrumented, OpenTelemetryCallbackHandler(tracer_provider=instrumented.provider), way)
    assert "the question" in attributes[MESSAGES]
    assert "three" in attributes["gen_ai.output.messages"]
    assert attributes["user.id"] == "anna"


@pytest.mark.parametrize("way", ["call", "constructor"])
@pytest.mark.parametrize("by", ["argument", "variable", "standard variable"])
def test_an_explicit_none_has_a_vote(instrumented, monkeypatch, way, by):
    """Who says that no content is recorded is obeyed, whatever handlers runs are given."""
    if by == "variable":
        monkeypatch.setenv("RUNSPAN_CAPTURE_CONTENT", "none")
    elif by == "standard variable":
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "false")
    instrumented.instrument(Settings(capture_content="none") if by == "argument" else None)
    for name in ("RUNSPAN_CAPTURE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"):
        monkeypatch.delenv(name, raising=False)
    attributes = asked(instrumented, OpenTelemetryCallbackHandler(tracer_provider=instrumented.provider), way)
    assert not [value for value in attributes.values() if "question" in str(value) or "anna" in str(value)]


def test_content_by_choice(instrumented):
    """Content is recorded where that is set."""
    handler = instrumented.instrument(Settings(capture_content="span"))
    Model().invoke("the question")
    assert "the question" in instrumented.one("chat").attributes[MESSAGES]
    assert handler.describe()["capture_content"] == ("span", "argument")


def test_what_is_in_force_by_default(instrumented):
    """The handler says that content is off, by default."""
    assert instrumented.instrument().describe()["capture_content"] == ("none", "default")


def test_strictest_of_two_handlers_that_decide(instrumented):
    """Beside it, of two handlers that decide about content the strictest does."""
    instrumented.instrument()
    given = [
        OpenTelemetryCallbackHandler(tracer_provider=instrumented.provider, settings=settings)
        for settings in (None, Settings(capture_content="none"))
    ]
    (chain("before") | Model(callbacks=given)).invoke("the question")
    attributes = instrumented.one("chat").attributes
    assert not [value for value in attributes.values() if "question" in str(value)]


def test_a_redaction_of_the_handler_that_decides(instrumented):
    """What a run's own handler redacts is redacted in all that it adds."""
    instrumented.instrument()
    handler = OpenTelemetryCallbackHandler(
        tracer_provider=instrumented.provider,
        settings=Settings(redact=lambda text, place: text.replace("question", "[gone]")),
    )
    attributes = asked(instrumented, handler, "constructor")
    assert "the [gone]" in attributes[MESSAGES]


async def test_a_graph_that_has_its_handler(tracing):
    """A graph with a handler in its config is traced by whoever calls it with nothing, as ``langgraph dev`` does."""
    graph = straight_graph(first=chain("body")).with_config(callbacks=[tracing.handler])
    graph.invoke({"values": []})
    async for _ in graph.astream({"values": []}, {"configurable": {"thread_id": "1"}}):
        pass
    assert tracing.text() == "\n".join(["invoke_workflow", "  first", "    body"] * 2)


def test_the_instrumentor_says_what_it_needs():
    """Without OpenTelemetry's package for instrumentors, the error says what to install, and what needs no package."""
    code = """
    import sys, runspan
    sys.modules["opentelemetry.instrumentation"] = None
    try:
        runspan.RunspanInstrumentor()
    except ModuleNotFoundError as error:
        emit(str(error))
    """
    (said,) = run_python(code).emitted
    assert "pip install opentelemetry-distro" in said
    assert "runspan.instrument()" in said


PROGRAM = """
    import logging, sys
    logging.basicConfig(level="WARNING", stream=sys.stdout)
    from langchain_core.runnables import RunnableLambda
    {more}
    RunnableLambda(lambda x: x, name="asked").invoke("the question")
"""


def run(more="", *, command=("opentelemetry-instrument",), **variables):
    """Run a program that passes no handler, under ``opentelemetry-instrument``."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "RUNSPAN_"))}
    scripts = Path(sys.executable).parent
    variables = {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", **variables}
    return subprocess.run(
        [*(str(scripts / each) for each in command), sys.executable, "-c", textwrap.dedent(PROGRAM).format(more=more)],
        env={**plain, "PATH": f"{scripts}{os.pathsep}{plain['PATH']}", **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )


def towards(receiver):
    protocol = "http/protobuf" if isinstance(receiver, HttpReceiver) else "grpc"
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}


@pytest.mark.newest
def test_opentelemetry_instrument_traces_langchain():
    """A program that knows nothing of tracing is traced; no content leaves it."""
    with HttpReceiver() as receiver:
        done = run(**towards(receiver))
        (span,) = receiver.received()
    assert span["name"] == "asked"
    assert "the question" not in str(span)
    assert done.stderr == ""


@pytest.mark.newest
def test_it_can_be_left_out():
    """OpenTelemetry's variable that leaves instrumentations out leaves this one out."""
    with HttpReceiver() as receiver:
        run(OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="runspan", **towards(receiver))
        assert receiver.received() == []


CONFIGURE = "import runspan; runspan.configure({})"


@pytest.mark.newest
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (HttpReceiver, "otlp"),
        (GrpcReceiver, "otlp"),
        (HttpReceiver, "otlp_proto_http"),
        (GrpcReceiver, "otlp_proto_grpc"),
    ],
)
def test_configure_beside_it_sends_nothing_twice(kind, name):
    """With ``configure()`` to the same endpoint each span arrives once, and a line says what was left out and why."""
    with kind() as receiver:
        done = run(CONFIGURE.format(""), OTEL_TRACES_EXPORTER=name, **towards(receiver))
        assert [span["name"] for span in receiver.received()] == ["asked"]
        assert "opentelemetry-instrument sends spans to" in done.stdout
        assert "OTEL_TRACES_EXPORTER=none" in done.stdout


FILE = """
tracer_provider:
  processors:
    - batch:
        exporter:
          {}
"""
# As `opentelemetry-instrument` leaves it where the file says what is sent.
BY_FILE = """
import opentelemetry.instrumentation.auto_instrumentation, opentelemetry.sdk.trace, opentelemetry.trace, runspan
opentelemetry.trace.set_tracer_provider(opentelemetry.sdk.trace.TracerProvider())
runspan.configure()
runspan.instrument()
"""


@pytest.mark.newest
@pytest.mark.parametrize(
    ("exporter", "is_sent_to"),
    [
        ("console:", False),
        ("otlp_http: {endpoint: http://otel.example.com:4318/v1/traces}", False),
        ("otlp_http:", False),  # to port 4318
        ("otlp_http: {endpoint: '${OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces'}", True),
        ("otlp_http: {endpoint: '${env:OTEL_EXPORTER_OTLP_ENDPOINT:-http://localhost:4318}/v1/traces'}", True),
    ],
)
def test_configure_beside_a_configuration_file(tmp_path, exporter, is_sent_to):
    """Where a file says what OpenTelemetry's SDK sends, its variables say nothing: ``configure()`` goes by the file."""
    file = tmp_path / "otel.yaml"
    file.write_text(FILE.format(exporter))
    with HttpReceiver() as receiver:
        done = run(BY_FILE, command=(), OTEL_CONFIG_FILE=str(file), OTEL_TRACES_EXPORTER="otlp", **towards(receiver))
        assert len(receiver.received()) == (not is_sent_to)
    assert (f"take the exporter out of {file}" in done.stdout) == is_sent_to


@pytest.mark.newest
def test_the_remedy_that_it_names():
    """With the other exporter off, runspan's own processor delivers."""
    more = (
        "import runspan, opentelemetry.trace as t;"
        "t.get_tracer_provider().add_span_processor(runspan.OtlpSpanProcessor())"
    )
    with HttpReceiver() as receiver:
        run(more, OTEL_TRACES_EXPORTER="none", **towards(receiver))
        assert [span["name"] for span in receiver.received()] == ["asked"]


@pytest.mark.newest
def test_configure_to_another_endpoint_sends_there_too():
    """Two endpoints get each span once."""
    with HttpReceiver() as receiver, HttpReceiver() as other:
        run(CONFIGURE.format(f"endpoint={other.endpoint!r}"), **towards(receiver))
        assert [len(each.received()) for each in (receiver, other)] == [1, 1]


@pytest.mark.parametrize("order", ["instrument(); runspan.configure()", "configure(); runspan.instrument()"])
def test_from_code(order):
    """``instrument()`` and ``configure()`` together, in either order, trace and deliver."""
    with HttpReceiver() as receiver:
        run(f"import runspan; runspan.{order}", command=(), **towards(receiver))
        assert [span["name"] for span in receiver.received()] == ["asked"]


def test_without_a_provider_the_first_run_says_so():
    """A run whose spans go nowhere says so once, with what to do; where the SDK is disabled that is meant."""
    more = "import runspan; runspan.instrument(); RunnableLambda(lambda x: x).invoke(1)"
    said = run(more, command=()).stdout
    assert said.count("its spans go nowhere. Call runspan.configure()") == 1
    assert run(more, command=(), OTEL_SDK_DISABLED="true").stdout == ""
    assert run("import runspan; runspan.OpenTelemetryCallbackHandler()", command=()).stdout == ""
