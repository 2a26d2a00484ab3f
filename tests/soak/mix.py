"""One of each kind of run that a service makes, with one handler for all of them and tenants that come and go."""

import asyncio
import itertools
import threading
from typing import Any

from langchain.agents import create_agent
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import runspan
from runspan import OpenTelemetryCallbackHandler, OtlpSpanProcessor
from tests.fakes import ASKED, AgentModel, Model, body, straight_graph, tool

FIRST_TENANTS = 8


class Counting(SpanProcessor):
    """Counts the spans that end, by what became of their run."""

    def __init__(self) -> None:
        self.outcomes: dict[str, int] = {}

    def on_end(self, span):
        outcome = (span.attributes or {}).get("langchain.run.outcome", "ended" if span.status.is_ok else "error")
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


class Tracing:
    """The part of ``tests.tracing.Tracing`` that bodies and models need; it keeps no span."""

    def __init__(self) -> None:
        self.counting = Counting()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.counting)
        self.tracer = self.provider.get_tracer("soak")

    def mark(self, name: str) -> None:
        self.tracer.start_span(name).end()


class Mix:
    """The kinds of run, one after the other; ``next_run`` makes one.

    Args:
        endpoint: a receiver that takes what tenants send.
    """

    def __init__(self, endpoint: str) -> None:
        self.tracing = t = Tracing()
        # Exemplars are kept for each duration that has not been seen before.
        self.meters = MeterProvider(
            [InMemoryMetricReader()], exemplar_filter=AlwaysOffExemplarFilter(), shutdown_on_exit=False
        )
        self.handler = OpenTelemetryCallbackHandler(tracer_provider=t.provider, meter_provider=self.meters)
        self.config: Any = {"callbacks": [self.handler]}
        self.loop = asyncio.new_event_loop()
        self._endpoint = endpoint
        self._numbers = itertools.count()
        self._chain = body(t, "first") | Model(tracing=t)
        self._failing = body(t, "first") | body(t, "broken", self._fail)
        self._called = asyncio.Event()
        self._hanging = body(t, "first") | Model(before=self._called.set, hangs_after=0)
        self._agent = create_agent(AgentModel(tracing=t), [tool(t)])
        self._saver = runspan.link_resumes(InMemorySaver())
        self._graph = straight_graph(
            sub=straight_graph(deep=body(t, "do deep", lambda state: {"values": ["deep"]})),
            ask=lambda state: {"values": [interrupt("sure?")]},
        )
        self._graph.checkpointer = self._saver
        self._runs = (
            self.chain,
            self.agent,
            self.graph_that_waits,
            self.graph_that_goes_on,
            self.stream_left_early,
            self.async_stream_left_early,
            self.cancelled,
            self.failed,
            self.in_a_thread_of_its_own,
            self.tenant,
        )

    def next_run(self) -> None:
        number = next(self._numbers)
        self._runs[number % len(self._runs)]()

    def first_tenants(self) -> None:
        """Have so many at once that all the threads that deliveries share have been started."""
        handlers = [self._tenant() for _ in range(FIRST_TENANTS)]
        for handler in handlers:
            self._chain.invoke("x", {"callbacks": [handler]})
        for handler in handlers:
            assert handler.shutdown(30)

    def chain(self) -> None:
        assert self._chain.invoke("x", self.config).content == "three"

    def agent(self) -> None:
        self._agent.invoke(ASKED, self.config)

    def graph_that_waits(self) -> None:
        self._graph.invoke({"values": ["x"]}, self._of_thread())

    def graph_that_goes_on(self) -> None:
        state = self._graph.invoke(Command(resume="yes"), self._of_thread())
        assert state["values"][-2:] == ["deep", "yes"]
        self._saver.delete_thread("t1")

    def stream_left_early(self) -> None:
        for _ in self._chain.stream("x", self.config):
            break

    def async_stream_left_early(self) -> None:
        async def leave() -> None:
            async for _ in self._chain.astream("x", self.config):
                break

        self.loop.run_until_complete(leave())

    def cancelled(self) -> None:
        self.loop.run_until_complete(self._cancel(self.handler))

    def failed(self) -> None:
        try:
            self._failing.invoke("x", self.config)
        except ValueError:
            return
        raise AssertionError("it did not fail")

    def in_a_thread_of_its_own(self) -> None:
        thread = threading.Thread(target=self.chain)
        thread.start()
        thread.join()

    def tenant(self) -> None:
        """Come with listeners of classes of its own, a run that ends and one that is cancelled, and go."""
        handler = self._tenant()
        self._chain.invoke("x", {"callbacks": [handler]})
        self.loop.run_until_complete(self._cancel(handler))
        assert handler.shutdown(30)

    def _tenant(self) -> OpenTelemetryCallbackHandler:
        class Handler(OpenTelemetryCallbackHandler):
            pass

        class Listener(BaseCallbackHandler):
            pass

        class AsyncListener(AsyncCallbackHandler):
            async def on_chain_start(self, *args, **kwargs):
                await asyncio.sleep(0)

        processors = [OtlpSpanProcessor(self._endpoint), SimpleSpanProcessor(InMemorySpanExporter())]
        return Handler(
            callbacks=[Listener(), AsyncListener()],
            span_processors=processors,
            tracer_provider=self.tracing.provider,
        )

    async def _cancel(self, handler: OpenTelemetryCallbackHandler) -> None:
        self._called.clear()
        task = asyncio.create_task(self._hanging.ainvoke("x", {"callbacks": [handler]}))
        await self._called.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    def _of_thread(self) -> Any:
        return {**self.config, "configurable": {"thread_id": "t1"}}

    @staticmethod
    def _fail(given: object) -> None:
        raise ValueError("no")
