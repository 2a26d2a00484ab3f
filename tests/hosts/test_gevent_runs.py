"""Runs in greenlets: those of gevent, of SQLAlchemy's asyncio extension, and plain ones."""

from textwrap import dedent

from tests.hosts.processes import run_program

GEVENT = "from gevent import monkey; monkey.patch_all()\n"
TRACED = """
import contextvars
import threading
import time
from langchain_core.language_models import FakeListChatModel
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from tests.tracing import Tracing

tracing = Tracing()
"""


def trees(code, *, before=""):
    """Run a program that traces into memory; return its finished traces as lines."""
    return run_program(f"{before}{TRACED}{dedent(code)}\nprint(tracing.text())")


def test_spans_of_a_pool_are_below_the_tool_that_waits_for_it():
    """A thread pool under gevent keeps the tree: its greenlets work while the tool's own is suspended."""
    assert trees(
        """
        from concurrent.futures import ThreadPoolExecutor

        def part(number):
            with tracing.span(f"part {number}"):
                time.sleep(0.02)
                tracing.mark(f"detail {number}")

        @tool
        def search(query: str) -> str:
            "Search in parallel."
            with ThreadPoolExecutor(2) as pool:
                for each in [pool.submit(contextvars.copy_context().run, part, number) for number in range(2)]:
                    each.result()
            tracing.mark("merge")
            return "found"

        search.invoke({"query": "q"}, tracing.config)
        assert "gen_ai.tool.call.result" in tracing.one("execute_tool search").attributes
        """,
        before=GEVENT,
    ) == ["execute_tool search", "  part 0", "    detail 0", "  part 1", "    detail 1", "  merge"]


def test_a_flush_leaves_the_runs_of_other_greenlets_alone():
    """force_flush ends no run that another greenlet, or another thread's greenlet, waits in."""
    assert (
        trees(
            """
            import gevent
            from gevent.threadpool import ThreadPool

            def in_another_thread():
                gevent.spawn(model.invoke, "q", tracing.config).join()

            model = FakeListChatModel(responses=["the answer"], sleep=1)
            model.invoke("what LangChain imports late, which two threads under gevent can't do at once")
            waiting = [gevent.spawn(model.invoke, "q", tracing.config) for _ in range(3)]
            waiting.append(ThreadPool(1).spawn(in_another_thread))
            while len(list(tracing.handler._bridge.tracing.table.open_runs())) < 4:
                gevent.sleep(0.01)
            assert tracing.handler.force_flush(5)
            for each in waiting:
                each.get()
            for span in tracing.spans:
                assert "gen_ai.output.messages" in span.attributes, span.attributes
            """,
            before=GEVENT,
        )
        == ["chat"] * 4
    )


def test_a_flush_ends_the_run_of_a_greenlet_that_is_dead():
    """A chain that nobody ended in a greenlet that is over is ended by a flush."""
    assert trees(
        """
        import gevent
        from uuid import uuid4

        def begin():
            tracing.handler.on_chain_start({}, {"number": 1}, run_id=uuid4(), name="left open")

        gevent.spawn(begin).join()
        assert not tracing.spans
        assert tracing.handler.force_flush(5)
        """,
        before=GEVENT,
    ) == ["left open [abandoned]"]


def test_a_plain_greenlet_does_not_end_the_tool_around_it():
    """A greenlet with a copy of the context opens spans below the tool; also one in a tool that imports greenlet."""
    assert (
        trees(
            """
        import sys

        @tool
        def search(query: str) -> str:
            "Search."
            assert (query == "first") is ("greenlet" not in sys.modules)
            from greenlet import greenlet
            bridging = greenlet(tracing.mark)
            bridging.gr_context = contextvars.copy_context()
            bridging.switch("in the greenlet")
            tracing.mark("after it")
            return "found"

        for query in ("first", "second"):
            search.invoke({"query": query}, tracing.config)
        for span in tracing.named("execute_tool search"):
            assert "gen_ai.tool.call.result" in span.attributes
        """
        )
        == ["execute_tool search", "  in the greenlet", "  after it"] * 2
    )


def test_a_greenlet_within_a_stream_is_below_the_model():
    """What a model hands to a greenlet after its first chunk is its own: it waits for it."""
    assert trees(
        """
        from greenlet import greenlet
        from langchain_core.language_models import BaseChatModel
        from langchain_core.messages import AIMessageChunk
        from langchain_core.outputs import ChatGenerationChunk

        class Streaming(BaseChatModel):
            def _generate(self, *args, **kwargs): raise NotImplementedError

            def _stream(self, messages, stop=None, run_manager=None, **kwargs):
                for text in ("a", "b"):
                    bridging = greenlet(tracing.mark)
                    bridging.gr_context = contextvars.copy_context()
                    bridging.switch(f"request of {text}")
                    yield ChatGenerationChunk(message=AIMessageChunk(text))

            @property
            def _llm_type(self): return "streaming"

        for chunk in Streaming().stream("q", tracing.config):
            tracing.mark(f"consumer of {chunk.content}") if chunk.content else None
        """
    ) == ["chat", "  request of a", "  request of b", "consumer of a", "consumer of b"]


def test_statements_of_an_async_session_are_below_the_tool():
    """What SQLAlchemy executes in a greenlet for an async session is below the tool that awaits the session."""
    assert (
        trees(
            """
        import asyncio
        from sqlalchemy import event, text
        from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

        engine = create_async_engine("sqlite+aiosqlite://")

        @event.listens_for(engine.sync_engine, "before_cursor_execute")
        def execute(connection, cursor, statement, *_):
            tracing.mark(statement)

        @tool
        async def look_up(query: str) -> str:
            "Look something up."
            async with AsyncSession(engine) as session:
                found = [(await session.execute(text(f"SELECT {number}"))).scalar_one() for number in range(2)]
            tracing.mark("after it")
            return str(found)

        async def main():
            chain = RunnableLambda(lambda query: {"query": query}) | look_up
            found = await asyncio.gather(*(chain.ainvoke("q", tracing.config) for _ in range(2)))
            assert found == ["[0, 1]"] * 2
            await engine.dispose()

        asyncio.run(main())
        for span in tracing.named("execute_tool look_up"):
            assert "gen_ai.tool.call.result" in span.attributes
        """
        )
        == [
            "RunnableSequence",
            "  RunnableLambda",
            "  execute_tool look_up",
            "    SELECT 0",
            "    SELECT 1",
            "    after it",
        ]
        * 2
    )
