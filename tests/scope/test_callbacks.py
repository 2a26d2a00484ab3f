"""How callback handlers are told: in order, on the right loop, by LangChain's rules for what they ignore and raise."""

import asyncio
import contextvars
import logging

import pytest
from langchain_core.agents import AgentAction, AgentFinish
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from runspan import CallbackSpanProcessor, OpenTelemetryCallbackHandler
from runspan._guard import faults
from runspan.callback_event import Event
from runspan.listeners.dispatch import Outbox
from tests.fakes import Model, body
from tests.recorders import AsyncDriven, Driven, Recorder
from tests.waiting import hang

REQUEST = contextvars.ContextVar("request")


def listener(tracing, *callbacks):
    return OpenTelemetryCallbackHandler(callbacks=callbacks, tracer_provider=tracing.provider)


class Slow(AsyncCallbackHandler):
    """Waits for a gate, if it has one; notes the loop, the order and the request it belongs to."""

    def __init__(self, gate=None):
        self.noted = []
        self.gate = gate

    async def on_chain_start(self, serialized, inputs, **kwargs):
        if self.gate is not None:
            await self.gate.wait()
        self.noted.append((f"{kwargs['name']} started", asyncio.get_running_loop(), REQUEST.get(None)))

    async def on_chain_end(self, outputs, **kwargs):
        self.noted.append((f"{outputs} ended", asyncio.get_running_loop(), REQUEST.get(None)))


class Hearing(BaseCallbackHandler):
    """Notes the chunks that it hears."""

    def __init__(self):
        self.heard = []

    def on_llm_new_token(self, token, **kwargs):
        self.heard.append((token, sorted(kwargs)))


class HearingLater(AsyncCallbackHandler):
    """Notes the chunks that it hears."""

    def __init__(self):
        self.heard = []

    async def on_llm_new_token(self, token, **kwargs):
        self.heard.append((token, sorted(kwargs)))


async def test_chunks_reach_each_handler_that_wants_them(tracing):
    """Beside one without that callback and one that fails to say, a handler has it in its class, or on the instance."""

    class Failing(BaseCallbackHandler):
        @property
        def on_llm_new_token(self):
            raise LookupError

    inherited, on_instance, of_class, later = Slow(), BaseCallbackHandler(), Hearing(), HearingLater()
    on_instance.on_llm_new_token = (noting := Hearing()).on_llm_new_token
    everybody = (of_class, on_instance, later)
    for listeners in ((inherited, *everybody), *((inherited, each) for each in everybody), (Failing(), *everybody)):
        handler = listener(tracing, *listeners)
        async for _ in Model().astream("x", {"callbacks": [handler]}):
            pass
        assert await handler.aflush() is True
    parts = [*of_class.heard[: len(of_class.heard) // 3]]
    assert "".join(token for token, _ in parts) == "three"
    assert {tuple(names) for _, names in parts} == {("chunk", "parent_run_id", "run_id", "tags")}
    assert of_class.heard == noting.heard == later.heard == parts * 3


async def test_an_async_handler_is_told_in_order_on_the_applications_loop(tracing):
    """A slow handler does not hold up the run; it is told in order, on the loop and in the context of its request."""
    gate = asyncio.Event()
    slow = Slow(gate)
    handler = listener(tracing, slow)
    chain = body(tracing, "one") | RunnableLambda(lambda x: x, name="two")  # the second works in a thread

    async def ask(request):
        REQUEST.set(request)
        await chain.ainvoke(request, {"callbacks": [handler]})

    await asyncio.gather(*(asyncio.create_task(ask(f"r{number}")) for number in range(20)))
    assert slow.noted == []
    gate.set()
    assert await handler.aflush() is True
    loop = asyncio.get_running_loop()
    for number in range(20):
        request = f"r{number}"
        assert [note[:2] for note in slow.noted if note[2] == request] == [
            ("RunnableSequence started", loop),
            ("one started", loop),
            (f"{request} ended", loop),
            ("two started", loop),
            (f"{request} ended", loop),
            (f"{request} ended", loop),
        ]


async def test_a_flush_of_what_never_ends(tracing):
    """A flush gives up in time, and says so."""

    class Stuck(AsyncCallbackHandler):
        async def on_chain_start(self, *args, **kwargs):
            await asyncio.sleep(3600)

    handler = listener(tracing, Stuck())
    await body(tracing, "work").ainvoke("x", {"callbacks": [handler]})
    began = asyncio.get_running_loop().time()
    assert await handler.aflush(0.1) is False
    assert asyncio.get_running_loop().time() - began < 5
    assert await listener(tracing, Slow()).aflush() is True, "of another handler nothing is waiting"
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    assert await handler.aflush() is True


async def test_a_processor_waits_for_its_async_handlers(tracing):
    """``aflush`` of a ``CallbackSpanProcessor`` is over when its handlers have heard what happened until then."""
    slow = Slow()
    processor = CallbackSpanProcessor([slow])
    handler = OpenTelemetryCallbackHandler(span_processors=[processor], tracer_provider=tracing.provider)
    await body(tracing, "work").ainvoke("x", {"callbacks": [handler]})
    assert await processor.aflush() is True
    assert [note[0] for note in slow.noted] == ["work started", "x ended"]


def test_what_agents_of_the_classic_kind_do_is_forwarded(tracing):
    """Callback handlers hear of the actions and the end of an agent, within the run that LangChain names."""
    driven = Driven()
    handler = listener(tracing, driven)

    def act(x, run_manager):
        run_manager.on_agent_action(AgentAction("look", x, "log"))
        run_manager.on_agent_finish(AgentFinish({"output": x}, "log"))
        return x

    RunnableLambda(act, name="agent").invoke("x", {"callbacks": [handler]})
    assert driven.events[1:3] == ["on_agent_action", "on_agent_finish"]
    assert driven.one("on_agent_action").args == (AgentAction("look", "x", "log"),)
    assert driven.one("on_agent_finish").kwargs["run_id"] == driven.one("on_chain_start").kwargs["run_id"]


def test_the_end_of_the_loop(tracing):
    """What was not flushed is told before the loop closes."""
    slow = Slow()
    chain = body(tracing, "one") | body(tracing, "two")
    asyncio.run(chain.ainvoke("x", {"callbacks": [listener(tracing, slow)]}))
    assert len(slow.noted) >= 5
    assert slow.noted[-1][0] == "x ended"


def test_a_handler_that_hangs_as_the_loop_ends(tracing, monkeypatch, caplog):
    """The loop closes in bounded time; what was not told is given up, counted, and logged once."""

    class Hanging(AsyncCallbackHandler):
        async def on_chain_start(self, *args, **kwargs):
            await hang()

    monkeypatch.setattr("runspan.listeners.dispatch._SECONDS_TO_CLOSE", 0.1)
    slow, before = Slow(), faults()
    chain = body(tracing, "one") | body(tracing, "two")

    async def invoke():
        await asyncio.gather(
            *(chain.ainvoke("x", {"callbacks": [listener(tracing, each)]}) for each in (Hanging(), slow))
        )

    asyncio.run(invoke())
    assert slow.noted[-1][0] == "x ended"
    assert faults() - before == 1
    assert ["EventLoopClosedError" in record.getMessage() for record in caplog.records] == [True]


def test_an_async_handler_in_a_sync_run(tracing):
    """It has been told when the invocation returns, as with LangChain."""
    driven = AsyncDriven()
    native = Recorder()
    body(tracing, "work").invoke("x", {"callbacks": [native, listener(tracing, driven)]})
    assert driven.heard == native.heard


async def test_a_sync_chain_called_in_a_coroutine(tracing):
    """It is a sync run: the async handler has been told when it returns."""
    driven = AsyncDriven()
    body(tracing, "work").invoke("x", {"callbacks": [listener(tracing, driven)]})
    assert driven.events == ["on_chain_start", "on_chain_end"]


def test_a_loop_that_is_closed(caplog):
    """Events for a loop that is no more are given up, counted, and logged once."""
    loop = asyncio.new_event_loop()
    outbox = Outbox(loop)
    loop.close()
    before = faults()
    for _ in range(2):
        outbox.put([AsyncDriven()], Event("on_text", ("x",), {}))
    assert faults() - before == 2
    assert ["EventLoopClosedError" in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("event", ["on_chain_start", "on_chain_end"])
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_raise_error(tracing, event, kind):
    """What a sync handler raises that has ``raise_error`` reaches the application; all spans have ended."""

    class Raising(BaseCallbackHandler):
        raise_error = True

    def fail(self, *args, **kwargs):
        raise KeyError("out")

    setattr(Raising, event, fail)
    chain = body(tracing, "one") | body(tracing, "two")
    config = {"callbacks": [listener(tracing, Raising())]}
    with pytest.raises(KeyError, match="out"):
        chain.invoke("x", config) if kind == "sync" else await chain.ainvoke("x", config)
    tracing.mark("caller")
    assert tracing.one("caller").parent is None
    tracing.settle()
    assert not tracing.one("RunnableSequence").status.is_ok


def test_without_raise_error(tracing, caplog):
    """What another handler raises is logged by LangChain, with the handler's name, and goes no further."""

    class Raising(BaseCallbackHandler):
        def on_chain_start(self, *args, **kwargs):
            raise KeyError("out")

    body(tracing, "work").invoke("x", {"callbacks": [listener(tracing, Raising())]})
    assert [record.getMessage() for record in caplog.records] == [
        "Error in Raising.on_chain_start callback: KeyError('out')"
    ]


def test_what_a_handler_ignores(tracing):
    """A handler is not told what it says it ignores."""

    class NoChains(Driven):
        @property
        def ignore_chain(self):
            return True

    driven = NoChains()
    (body(tracing, "work") | Model(tracing=tracing)).invoke("x", {"callbacks": [listener(tracing, driven)]})
    assert driven.events == ["on_chat_model_start", "on_llm_end"]


def test_a_handler_that_knows_no_chat_models(tracing):
    """It gets the event of a completion model instead, with the messages as text, as with LangChain."""
    started = []

    class Old(BaseCallbackHandler):
        def on_llm_start(self, serialized, prompts, **kwargs):
            started.append(prompts)

    Model(tracing=tracing).invoke("x", {"callbacks": [listener(tracing, Old())]})
    assert started == [["Human: x"]]


def test_one_handler_by_three_ways_is_told_once(tracing):
    """A callback handler that several runspan handlers and the provider bring hears each event once."""
    driven = Driven()
    tracing.provider.add_span_processor(CallbackSpanProcessor([driven]))
    model = Model(tracing=tracing, callbacks=[listener(tracing, driven)])
    chain = body(tracing, "work") | model
    at_runtime = OpenTelemetryCallbackHandler(
        callbacks=[driven, driven], span_processors=[CallbackSpanProcessor([driven])], tracer_provider=tracing.provider
    )
    chain.invoke("x", {"callbacks": [at_runtime, tracing.handler]})
    assert driven.events == [
        "on_chain_start",
        "on_chain_start",
        "on_chain_end",
        "on_chat_model_start",
        "on_llm_end",
        "on_chain_end",
    ]


@pytest.mark.newest  # the older ones use what pydantic warns of
def test_tracers_of_langchain(tracing):
    """A tracer of LangChain's own builds its tree from what it is told."""
    collector = RunCollectorCallbackHandler()
    (body(tracing, "work") | Model(tracing=tracing)).invoke("x", {"callbacks": [listener(tracing, collector)]})
    (run,) = collector.traced_runs
    assert (run.name, [child.name for child in run.child_runs]) == ("RunnableSequence", ["work", "Model"])


def test_an_abandoned_end_is_not_announced(tracing):
    """An end that only runspan found is none that LangChain would tell of."""
    driven, native = Driven(), Recorder()
    handler = listener(tracing, driven)
    stream = (body(tracing, "work") | Model(tracing=tracing)).stream("x", {"callbacks": [native, handler]})
    next(stream)
    so_far = list(driven.events)
    handler.shutdown()
    assert [span.name for span in tracing.spans][-2:] == ["chat", "RunnableSequence"]
    assert driven.events == so_far
    stream.close()
    assert driven.heard == native.heard


def test_the_current_span_in_a_handler(tracing):
    """While a handler is told of a run, the run is current: what it opens is within."""

    class Marking(BaseCallbackHandler):
        def on_chat_model_start(self, *args, **kwargs):
            tracing.mark("in the handler")

    Model(tracing=tracing).invoke("x", {"callbacks": [listener(tracing, Marking())]})
    assert tracing.text() == "chat\n  in the handler\n  http"


def test_two_faults_at_once(tracing, caplog):
    """A processor that raises does not keep a callback handler from being told."""
    caplog.set_level(logging.CRITICAL)
    driven = Driven()
    handler = OpenTelemetryCallbackHandler(
        callbacks=[driven], span_processors=[_Raising()], tracer_provider=tracing.provider
    )
    body(tracing, "work").invoke("x", {"callbacks": [handler]})
    assert driven.events == ["on_chain_start", "on_chain_end"]


class _Raising(CallbackSpanProcessor):
    def __init__(self):
        super().__init__([])

    def on_start(self, span, parent_context=None):
        raise ValueError("no")
