"""What an invocation costs: four workloads, four subjects, taken in turns, as a table.

Run by ``make bench``. Times are medians, in microseconds per invocation. With ``--callgrind`` it does nothing but one
workload of one subject, for an instruction count by valgrind.
"""

import argparse
import operator
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, TypedDict

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langgraph.graph import END, START, StateGraph
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanKind

from runspan import OpenTelemetryCallbackHandler

USAGE = {"input_tokens": 16, "output_tokens": 9, "total_tokens": 25}


class Model(BaseChatModel):
    """A model that answers at once."""

    model: str = "bench"
    chunks: int = 1

    @property
    def _llm_type(self) -> str:
        return "bench"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        message = AIMessage("1 + 2 = 3", usage_metadata=USAGE, response_metadata={"stop_reason": "end_turn"})
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _number in range(self.chunks):
            yield ChatGenerationChunk(message=AIMessageChunk(content="word "))


class State(TypedDict):
    """The state of the graph."""

    values: Annotated[list[int], operator.add]


class Silent(BaseCallbackHandler):
    """A handler that does nothing."""

    run_inline = True


class Keep(SpanProcessor):
    """Keeps what ended, to prepare the bare spans by."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span."""
        self.spans.append(span)


class Workload(NamedTuple):
    """Something to invoke, and how often."""

    name: str
    invoke: Callable[[dict[str, Any]], Any]
    times: int


def workloads() -> list[Workload]:
    """Make the four workloads."""
    prompt = ChatPromptTemplate.from_template("What is 1 + {number}?")
    chain = prompt | Model()
    history = [HumanMessage(f"question {n}, in some twenty words or so " * 3) for n in range(100)]
    streaming = Model(chunks=200)
    graph = StateGraph(State)
    names = [f"node_{number}" for number in range(10)]
    for name in names:
        graph.add_node(name, lambda _: {"values": [1]})
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    compiled = graph.compile()
    return [
        Workload("prompt | model", lambda config: chain.invoke({"number": "2"}, config), 3000),
        Workload("100-message history", lambda config: Model().invoke(history, config), 2000),
        Workload("stream of 200 chunks", lambda config: list(streaming.stream("x", config)), 150),
        Workload("graph of 10 nodes", lambda config: compiled.invoke({"values": []}, config), 300),
    ]


def bare(spans: list[ReadableSpan]) -> Callable[[], None]:
    """Return a function that makes the same spans with the same attributes, prepared beforehand."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("bare")
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in spans:
        children.setdefault(span.parent.span_id if span.parent else None, []).append(span)
    attributes = {span.context.span_id: dict(span.attributes or {}) for span in spans}

    def make(parent: int | None) -> None:
        for span in children.get(parent, ()):
            with tracer.start_as_current_span(span.name, kind=span.kind or SpanKind.INTERNAL) as made:
                made.set_attributes(attributes[span.context.span_id])
                make(span.context.span_id)

    return lambda: make(None)


def subjects(workload: Workload) -> dict[str, Callable[[], Any]]:
    """Return what is compared for a workload."""
    provider = TracerProvider(shutdown_on_exit=False)
    config = {"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=provider)]}
    keep = Keep()
    recording = TracerProvider(shutdown_on_exit=False)
    recording.add_span_processor(keep)
    workload.invoke({"callbacks": [OpenTelemetryCallbackHandler(tracer_provider=recording)]})
    return {
        "no callbacks": lambda: workload.invoke({}),
        "empty handler": lambda: workload.invoke({"callbacks": [Silent()]}),
        "runspan": lambda: workload.invoke(config),
        "bare spans": bare(keep.spans),
    }


def measure(workload: Workload) -> dict[str, float]:
    """Return the cost of each subject, in microseconds: the median of single invocations, taken in turns.

    In turns, and in another order each time: the subject that comes right after one of its kind finds the SDK's code
    in the processor's caches, which in an application holds for none.
    """
    compared = subjects(workload)
    samples: dict[str, list[float]] = {name: [] for name in compared}
    order = list(compared)
    shuffle = random.Random(1).shuffle
    for _ in range(workload.times):
        shuffle(order)
        for name in order:
            begun = time.perf_counter()
            compared[name]()
            samples[name].append((time.perf_counter() - begun) * 1e6)
    return {name: statistics.median(times) for name, times in samples.items()}


def main() -> None:
    """Print the table."""
    print(f"{'workload':<22}{'none':>10}{'empty':>10}{'runspan':>10}{'bare':>10}{'above empty / bare':>20}")
    for workload in workloads():
        costs = measure(workload)
        ratio = (costs["runspan"] - costs["empty handler"]) / costs["bare spans"]
        print(f"{workload.name:<22}" + "".join(f"{cost:>10.0f}" for cost in costs.values()) + f"{ratio:>20.2f}")
    print("Microseconds per invocation, median of calls taken in turns.")


def callgrind(name: str, subject: str, times: int) -> None:
    """Run one subject of one workload a number of times."""
    workload = next(each for each in workloads() if each.name == name)
    call = subjects(workload)[subject]
    for _ in range(times):
        call()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callgrind", nargs=3, metavar=("WORKLOAD", "SUBJECT", "TIMES"))
    chosen = parser.parse_args().callgrind
    trace.get_tracer_provider()
    if chosen:
        callgrind(chosen[0], chosen[1], int(chosen[2]))
    else:
        main()
