"""Beside a handler that makes spans of its own current, our tree is the same."""

import contextlib
from typing import Any
from uuid import UUID

import pytest
import wrapt
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.runnables import RunnableLambda
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, NoOpTracer, Span, Tracer

from runspan.testing import RecordedTrace
from tests.context.beside import EITHER_ORDER, Beside
from tests.context.shapes import SHAPES
from tests.context.ways import NOT_COMPARED, call, each_shape_each_way
from tests.fakes import Model, body
from tests.tracing import sorted_text

pytestmark = pytest.mark.usefixtures("quiet")

# What instrumented code leaves in the bodies of the shapes.
_MARKS = {"http", "query", "chunk", "before", "after", "more work"}


class Attaching(BaseCallbackHandler):
    """Makes its own span of each run current, from the start to the end, as Langfuse's handler does."""

    run_inline = True

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.spans: dict[UUID, tuple[Span, Any]] = {}

    def start(self, run_id: UUID, parent_run_id: UUID | None) -> None:
        if parent_run_id in self.spans:
            with trace.use_span(self.spans[parent_run_id][0]):
                span = self.tracer.start_span("theirs")
        else:
            span = self.tracer.start_span("theirs")
        self.spans[run_id] = span, context.attach(trace.set_span_in_context(span))

    def end(self, run_id: UUID) -> None:
        span, token = self.spans.pop(run_id)
        with contextlib.suppress(ValueError):  # LangChain ends async runs in a task with a context of its own
            token.var.reset(token)
        span.end()

    def on_chain_start(self, *_: Any, run_id: UUID, parent_run_id: UUID | None = None, **__: Any) -> None:
        self.start(run_id, parent_run_id)

    def on_chain_end(self, *_: Any, run_id: UUID, **__: Any) -> None:
        self.end(run_id)

    on_llm_start = on_chat_model_start = on_tool_start = on_retriever_start = on_chain_start
    on_llm_end = on_llm_error = on_tool_end = on_tool_error = on_retriever_end = on_chain_end
    on_retriever_error = on_chain_error = on_chain_end


class BesideAttaching(Beside):
    """Traces with a handler that attaches its spans."""

    def make_other(self, *, is_on: bool) -> Attaching:
        return Attaching(self.provider.get_tracer("theirs") if is_on else NoOpTracer())


@pytest.fixture(**EITHER_ORDER)
def beside(request):
    """Trace beside another handler, in either order, switched on or off."""
    is_first, is_on = request.param
    tracing = BesideAttaching(is_first=is_first, is_on=is_on)
    yield tracing
    tracing.settle()


def _without_marks(text: str) -> str:
    def is_ours(line: str) -> bool:
        name = line.strip()
        return name not in _MARKS and name not in NOT_COMPARED and not name.endswith(" work")

    return sorted_text("\n".join(filter(is_ours, text.splitlines())))


@each_shape_each_way
async def test_our_tree_is_the_same(beside, shape, way):
    """Each of our spans is under the run that it is under without the other handler."""
    made = SHAPES[shape](beside)
    calls = await call(way, beside, made)
    assert _without_marks(beside.ours) == _without_marks("\n".join([made.trace] * calls))


# In OpenTelemetry 1.39 the spans of a tracer that is off are one object, which says nothing of what it hides.
OFF_AND_FIRST = pytest.param((True, False), marks=pytest.mark.newest)


@pytest.mark.parametrize(
    "beside", [*EITHER_ORDER["params"][:-1], OFF_AND_FIRST], ids=EITHER_ORDER["ids"], indirect=True
)
async def test_invocations_one_after_the_other(beside):
    """Each invocation in a context is a trace of its own, or below the caller's span, whatever the last one left."""
    for _ in range(2):
        await body(beside, "bare").ainvoke("x", beside.config)
        body(beside, "bare").invoke("x", beside.config)
    for _ in range(2):
        with beside.span("request"):
            await body(beside, "within").ainvoke("x", beside.config)
            body(beside, "within").invoke("x", beside.config)
    ours = tuple(span for span in beside.spans if span.name in {"bare", "within", "request"})
    within = "request\n  within\n  within"
    assert RecordedTrace(ours).tree() == "\n".join(["bare"] * 4 + [within] * 2)


def test_a_span_of_the_user_within_a_run():
    """With our handler first, a run in a span of the user's is below that one, which is below the other handler's."""
    assert _with_users_span(BesideAttaching(is_first=False, is_on=True)) == (
        "outer\n  theirs\n    mine\n      chat\n    theirs\n      http"
    )


def test_a_span_of_the_user_that_the_other_handler_covers():
    """With our handler last, a span of the user's around a run is not seen, and the run is below its parent run."""
    assert _with_users_span(BesideAttaching(is_first=True, is_on=True)) == (
        "theirs\n  theirs\nouter\n  mine\n  chat\n    http"
    )


@pytest.mark.parametrize("is_first", [pytest.param(False, marks=pytest.mark.newest), True])
def test_a_span_of_the_user_beside_a_handler_that_is_off(is_first):
    """With the other handler switched off our handler sees the same."""
    expected = "outer\n  chat\n    http\n  mine" if is_first else "outer\n  mine\n    chat\n  http"
    assert sorted_text(_with_users_span(BesideAttaching(is_first=is_first, is_on=False))) == sorted_text(expected)


def _with_users_span(beside: Beside) -> str:
    model = Model(tracing=beside)

    def outer(given):
        with beside.span("mine"):
            return model.invoke(given)

    RunnableLambda(outer, name="outer").invoke("x", beside.config)
    return beside.trace.tree()


@pytest.fixture
def instrumented(monkeypatch):
    """Put a function around each start of a run, by wrapt, as OpenTelemetry's own instrumentation of LangChain does."""

    def start(wrapped, instance, args, kwargs):
        return wrapped(*args, **kwargs)

    async def start_async(wrapped, instance, args, kwargs):
        return await wrapped(*args, **kwargs)

    for manager, wrapper in ((CallbackManager, start), (AsyncCallbackManager, start_async)):
        for method in ("on_chain_start", "on_chat_model_start", "on_llm_start", "on_tool_start", "on_retriever_start"):
            monkeypatch.setattr(manager, method, wrapt.FunctionWrapper(getattr(manager, method), wrapper))


@pytest.mark.usefixtures("instrumented")
@each_shape_each_way
async def test_beside_an_instrumentation_that_wraps_starts(tracing, shape, way):
    """What an instrumentation puts around LangChain's callback managers hides neither who starts a run nor its end."""
    made = SHAPES[shape](tracing)
    calls = await call(way, tracing, made)
    text = "\n".join(line for line in tracing.text().splitlines() if line.strip() not in {*NOT_COMPARED, "caller"})
    assert sorted_text(text) == sorted_text("\n".join([made.trace] * calls))
    assert tracing.handler.open_runs == 0


async def test_a_handler_that_is_called_in_a_thread(tracing):
    """The span of a sync handler in an async run, made current around the body, is no span of the user's."""
    theirs = []

    class InThread(BaseCallbackHandler):
        def on_chain_start(self, *_, **__):
            theirs.append(tracing.provider.get_tracer("theirs").start_span("theirs"))

    async def around(x):
        with trace.use_span(theirs[0], end_on_exit=True):
            return await RunnableLambda(lambda x: x, name="inner").ainvoke(x)

    await RunnableLambda(around, name="outer").ainvoke(1, {"callbacks": [InThread(), tracing.handler]})
    assert tracing.one("inner").parent == tracing.one("outer").context


def test_a_handlers_span_without_a_context(tracing):
    """The span of a handler that records nothing may have no context at all, as MLflow's: the tree is whole."""
    nothing = NonRecordingSpan(None)

    class Dropping(BaseCallbackHandler):
        run_inline = True

        def on_chain_start(self, *_, **__):
            context.attach(trace.set_span_in_context(nothing))

    config = {"callbacks": [Dropping(), tracing.handler]}
    with trace.use_span(nothing):
        (RunnableLambda(lambda x: x, name="first") | RunnableLambda(lambda x: x, name="last")).invoke(1, config)
    assert tracing.text() == "RunnableSequence\n  first\n  last"
    assert tracing.handler.open_runs == 0
