"""Streams: the consumer's code runs between their steps, and may never come back."""

import asyncio
import contextvars
import gc
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from opentelemetry import trace

from runspan.runs.current_span import RunSpanProxy
from tests.fakes import Model, State, SyncStreamModel, body, straight_graph

pytestmark = pytest.mark.usefixtures("quiet")


async def until_none_open(tracing):
    """Let the loop close the generators that nobody holds any more."""
    async with asyncio.timeout(30):
        while tracing.handler.open_runs:
            await asyncio.sleep(0.001)


CHATTY = """\
RunnableSequence
  chat
    chunk
    chunk
    chunk
  last
    last work
caller"""


def _last(tracing):
    """Make a step that takes the chunks as they come."""

    def each(chunks):
        yield from chunks
        tracing.mark("last work")

    async def aeach(chunks):
        async for chunk in chunks:
            yield chunk
        tracing.mark("last work")

    return RunnableGenerator(each, aeach, name="last")


def test_spans_between_the_chunks_of_a_model_are_under_the_model(tracing):
    """A model that a later step pulls keeps its spans, also after its first chunk."""
    for _ in (Model(tracing=tracing, chunk_spans=True) | _last(tracing)).stream("x", tracing.config):
        pass
    tracing.mark("caller")
    assert tracing.text() == CHATTY


async def test_the_same_asynchronously(tracing):
    """The same holds in async streams."""
    async for _ in (Model(tracing=tracing, chunk_spans=True) | _last(tracing)).astream("x", tracing.config):
        pass
    tracing.mark("caller")
    assert tracing.text() == CHATTY


async def test_a_sync_model_streamed_asynchronously_keeps_the_spans_of_its_request(tracing):
    """What a model does in a thread until its first chunk, its request among it, is under the model."""
    stream = SyncStreamModel(tracing=tracing, chunk_spans=True).astream("x", tracing.config)
    await anext(stream)
    async for _ in stream:
        pass
    assert tracing.one("chat").context == tracing.named("chunk")[0].parent


def test_models_that_stream_side_by_side_keep_their_spans(tracing):
    """Each of two models that a parallel step pulls in threads keeps its own spans."""
    chain = RunnableParallel(a=Model(tracing=tracing, chunk_spans=True), b=Model(tracing=tracing, chunk_spans=True))
    for _ in chain.stream("x", tracing.config):
        tracing.mark("caller")
    chats = tracing.named("chat")
    assert len(chats) == 2
    for chat in chats:
        assert [s.name for s in tracing.spans if s.parent == chat.context] == ["chunk"] * 3
    assert all(span.parent is None for span in tracing.named("caller"))


def test_a_stream_left_early_is_abandoned_with_its_text_so_far(tracing):
    """A consumer that leaves after the first chunk leaves an ended span, no error, with what had come."""
    for _ in Model(tracing=tracing).stream("x", tracing.config):
        break
    tracing.settle()
    tracing.mark("caller")
    assert tracing.text() == "chat [abandoned]\n  http\ncaller"
    assert '"content":"th"' in tracing.one("chat").attributes["gen_ai.output.messages"]


def _words(given):
    yield from ("a", "b", "c")


async def _awords(given):
    for word in _words(given):
        yield word


def _passing(chunks):
    yield from chunks


async def _apassing(chunks):
    async for chunk in chunks:
        yield chunk


STREAMS = {
    "two steps": lambda t: body(t, "first") | Model(tracing=t),
    "three steps": lambda t: body(t, "first") | Model(tracing=t) | RunnableGenerator(_passing, _apassing),
    "one step": lambda t: RunnableLambda(_words, _awords),
    "generator": lambda t: RunnableGenerator(_words, _awords),
    "parallel": lambda t: RunnableParallel(a=Model(tracing=t)),
    "fallbacks": lambda t: Model(tracing=t).with_fallbacks([Model(tracing=t)]),
    "retry": lambda t: RunnableGenerator(_words, _awords).with_retry(),
    "graph": lambda t: straight_graph(one=lambda state: {"values": [1]}, two=lambda state: {"values": [2]}),
}


def _left_by_break(stream):
    for _ in stream:
        break


def _left_by_closing(stream):
    next(stream)
    stream.close()


@pytest.mark.parametrize("leave", [_left_by_break, _left_by_closing])
@pytest.mark.parametrize("name", STREAMS)
def test_a_chains_stream_left_early_is_abandoned(tracing, name, leave):
    """A chain of whatever kind whose consumer leaves is abandoned, though LangChain reports an ordinary end."""
    leave(STREAMS[name](tracing).stream({"values": []} if name == "graph" else "x", tracing.config))
    tracing.settle()
    (top,) = [span for span in tracing.spans if span.parent is None]
    assert top.attributes["langchain.run.outcome"] == "abandoned"
    assert all(span.status.is_ok for span in tracing.spans)


class _Ages(BaseCallbackHandler):
    """Has the collector count the generators that exist before a run among the older."""

    def on_chain_start(self, *_, **__):
        gc.collect(0)


@pytest.fixture
def uncollected():
    """Have nothing collected but what the test collects."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("name", STREAMS)
def test_a_chains_stream_left_to_the_collector_of_cycles_is_abandoned(tracing, name):
    """It is abandoned also if the collector closes younger generators first: a chain's is older than what it reads."""
    config = {"callbacks": [*tracing.config["callbacks"], _Ages()]}
    cycle = [STREAMS[name](tracing).stream({"values": []} if name == "graph" else "x", config)]
    cycle.append(cycle)
    next(cycle[0])
    del cycle
    gc.collect()
    tracing.settle()
    (top,) = [span for span in tracing.spans if span.parent is None]
    assert top.attributes["langchain.run.outcome"] == "abandoned"
    assert all(span.status.is_ok for span in tracing.spans)


@pytest.mark.usefixtures("uncollected")
def test_a_stream_read_while_the_collector_works_elsewhere_is_whole(tracing):
    """A collection that closes one stream says nothing of those that other threads read to their end."""

    def read_another():
        with ThreadPoolExecutor(1) as pool:
            pool.submit(list, RunnableGenerator(_words, name="read").stream("x", tracing.config)).result()

    class Cycle:
        def __init__(self):
            self.itself = self

        def __del__(self):
            read_another()

    Cycle()
    gc.collect()
    assert tracing.text() == "read"


@pytest.mark.parametrize("name", STREAMS)
def test_a_whole_stream_has_no_outcome(tracing, name):
    """A stream that is read to its end is not abandoned, nor is anything in it."""
    list(STREAMS[name](tracing).stream({"values": []} if name == "graph" else "x", tracing.config))
    assert not [span.name for span in tracing.spans if "langchain.run.outcome" in span.attributes]


def test_a_step_that_needs_only_the_first_chunk_abandons_nothing(tracing):
    """A step may stop reading while the stream as a whole goes on to its end."""

    def first(chunks):
        yield next(chunks)

    assert len(list((Model(tracing=tracing) | RunnableGenerator(first)).stream("x", tracing.config))) == 1
    assert tracing.text() == "RunnableSequence\n  chat\n    http\n  first"


@pytest.mark.parametrize("name", STREAMS)
async def test_a_chains_async_stream_left_early_is_abandoned(tracing, name):
    """The same asynchronously."""
    stream = STREAMS[name](tracing).astream({"values": []} if name == "graph" else "x", tracing.config)
    await anext(stream)
    await stream.aclose()
    await until_none_open(tracing)
    (top,) = [span for span in tracing.spans if span.parent is None]
    assert top.attributes["langchain.run.outcome"] == "abandoned"


async def test_an_async_stream_left_early_is_abandoned_with_its_text_so_far(tracing):
    """The same asynchronously, for a chain that is closed by its consumer."""
    chain = body(tracing, "first") | Model(tracing=tracing)
    stream = chain.astream("x", tracing.config)
    async for _ in stream:
        break
    await stream.aclose()
    await until_none_open(tracing)
    tracing.mark("caller")
    assert tracing.text() == (
        "RunnableSequence [abandoned]\n  first\n    first work\n  chat [abandoned]\n    http\ncaller"
    )
    assert '"content":"th"' in tracing.one("chat").attributes["gen_ai.output.messages"]


async def test_an_async_stream_dropped_unclosed_ends(tracing):
    """A stream that its consumer forgets is ended by the collector, not before."""
    stream = (body(tracing, "first") | Model(tracing=tracing)).astream("x", tracing.config)
    await anext(stream)
    assert tracing.handler.open_runs == 2
    del stream
    await until_none_open(tracing)
    assert {span.name for span in tracing.spans} == {"RunnableSequence", "first", "first work", "chat", "http"}


def test_a_stream_read_from_another_thread_keeps_its_trace(tracing):
    """Each chunk may be read in another thread: the runs stay one trace, the readers' spans stay outside."""
    stream = (body(tracing, "first") | Model(tracing=tracing)).stream("x", tracing.config)

    def read():
        chunk = next(stream, None)
        tracing.mark("caller")
        return chunk

    while True:
        with ThreadPoolExecutor(1) as pool:
            if pool.submit(read).result() is None:
                break
    assert tracing.text(without="caller") == "RunnableSequence\n  first\n    first work\n  chat\n    http"


def test_a_stream_whose_context_is_dropped_at_each_step_goes_on(tracing):
    """A web server reads a graph's stream step by step in copied contexts; nothing is cut short by that."""
    graph = straight_graph(
        one=body(tracing, "do one", lambda state: {"values": [1]}),
        two=body(tracing, "do two", lambda state: {"values": [2]}),
    )
    stream = graph.stream({"values": []}, tracing.config)
    steps = 0
    while contextvars.copy_context().run(next, stream, None) is not None:
        steps += 1
        tracing.handler.force_flush(1)
        assert tracing.handler.open_runs == 1
    assert steps == 2
    assert (
        tracing.text() == "invoke_workflow\n  one\n    do one\n      do one work\n  two\n    do two\n      do two work"
    )


def test_streams_read_alternately_do_not_mix(tracing):
    """Two streams read in turns are two traces, and the caller's spans are in neither."""
    chain = Model(tracing=tracing, chunk_spans=True) | _last(tracing)
    one, two = chain.stream("x", tracing.config), chain.stream("x", tracing.config)
    for _ in zip(one, two, strict=True):
        tracing.mark("caller")
    whole = CHATTY.removesuffix("\ncaller")
    assert tracing.text(without="caller") == f"{whole}\n{whole}"
    assert all(span.parent is None for span in tracing.named("caller"))


def test_a_call_between_two_chunks_is_no_part_of_the_stream(tracing):
    """What the consumer calls between two chunks is its own."""
    stream = (body(tracing, "first") | Model(tracing=tracing)).stream("x", tracing.config)
    with tracing.span("request"):
        next(stream)
        Model(tracing=tracing).invoke("y", tracing.config)
        tracing.mark("caller")
        list(stream)
    assert tracing.text() == (
        "request\n  RunnableSequence\n    first\n      first work\n    chat\n      http\n  chat\n    http\n  caller"
    )


def test_a_stream_that_is_held_and_never_finished_stays_open_until_shutdown(tracing):
    """A held stream is not cut short by a flush; a shutdown ends what is left."""
    stream = Model(tracing=tracing).stream("x", tracing.config)
    next(stream)
    assert tracing.handler.force_flush(1) is True
    assert tracing.handler.open_runs == 1
    tracing.handler.shutdown(1)
    assert tracing.handler.open_runs == 0
    assert tracing.text() == "chat [abandoned]\n  http"
    list(stream)


def test_streams_that_always_overlap_leave_no_chain_behind(tracing):
    """A context in which the next stream starts before the last is over keeps no trace of the old ones."""
    model = Model(tracing=tracing)
    last = model.stream("x", tracing.config)
    next(last)
    for _ in range(50):
        stream = model.stream("x", tracing.config)
        next(stream)
        list(last)
        last = stream
    depth, span = 0, trace.get_current_span()
    while isinstance(span, RunSpanProxy):
        depth, span = depth + 1, span.base
    assert depth <= 3
    list(last)


async def test_a_task_started_between_two_chunks_is_no_part_of_the_stream(tracing):
    """A task that the consumer starts between two chunks has the consumer's span."""
    started = asyncio.Event()

    async def aside():
        await started.wait()
        tracing.mark("aside")

    with tracing.span("request"):
        stream = Model(tracing=tracing, chunk_spans=True).astream("x", tracing.config)
        await anext(stream)
        task = asyncio.create_task(aside())
        started.set()
        async for _ in stream:
            pass
        await task
    assert tracing.text() == "request\n  chat\n    chunk\n    chunk\n    chunk\n  aside"


def test_time_to_first_chunk_is_there_only_on_streams(tracing):
    """A streamed call says when its first chunk came; another says nothing of it."""
    model = Model(tracing=tracing)
    list(model.stream("x", tracing.config))
    model.invoke("x", tracing.config)
    streamed, whole = tracing.named("chat")
    assert 0 < streamed.attributes["gen_ai.response.time_to_first_chunk"] < 5
    assert streamed.attributes["gen_ai.request.stream"] is True
    assert "gen_ai.response.time_to_first_chunk" not in whole.attributes


def _talking_graph(tracing, **model):
    chatty = Model(tracing=tracing, chunk_spans=True, **model)

    async def atalk(state: State) -> State:
        answer = await chatty.ainvoke("x")
        tracing.mark("node work")
        return {"values": [answer.content]}

    def talk(state: State) -> State:
        answer = chatty.invoke("x")
        tracing.mark("node work")
        return {"values": [answer.content]}

    return straight_graph(talk=RunnableLambda(talk, afunc=atalk, name="body"))


TALK = """\
invoke_workflow
  talk
    body
      chat
        chunk
        chunk
        chunk
      node work"""


WHOLE = TALK.replace("        chunk\n" * 3, "        http\n")


@pytest.mark.parametrize("mode", ["messages", "values", "updates", ["messages", "updates"]])
def test_a_graph_streamed_in_every_mode(tracing, mode):
    """Whatever a graph streams, its nodes and models keep their spans, the reader's stay outside."""
    for _ in _talking_graph(tracing).stream({"values": []}, tracing.config, stream_mode=mode):
        tracing.mark("caller")
    assert tracing.text(without="caller") == (TALK if "messages" in mode else WHOLE)


@pytest.mark.parametrize("mode", ["messages", "values", "updates", ["messages", "updates"]])
async def test_a_graph_streamed_asynchronously_in_every_mode(tracing, mode):
    """The same asynchronously."""
    async for _ in _talking_graph(tracing).astream({"values": []}, tracing.config, stream_mode=mode):
        tracing.mark("caller")
    assert tracing.text(without="caller") == (TALK if "messages" in mode else WHOLE)


async def test_a_user_who_closes_the_tab(tracing):
    """A graph's stream that is left while its model talks ends, with the text so far, and nothing goes on."""
    graph = _talking_graph(tracing, hangs_after=1)
    stream = graph.astream({"values": []}, tracing.config, stream_mode="messages")
    async for _ in stream:
        break
    await stream.aclose()
    await until_none_open(tracing)
    chat = tracing.one("chat")
    assert chat.attributes["langchain.run.outcome"] in {"abandoned", "cancelled"}
    assert '"content":"th' in chat.attributes["gen_ai.output.messages"]
    assert all(span.status.is_ok for span in tracing.spans)
