"""What fails a number of times, and what its spans say of the attempts at it."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.trace import ReadableSpan

from tests.fakes import Model
from tests.tracing import Tracing

Attempt = tuple[int | None, int | None, list[int]]
WAYS = pytest.mark.parametrize("way", ["sync", "async"])


class Failures:
    """Fails a number of times for each of what it is given, then no more."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.left: dict[Any, int] = {}

    def __call__(self, given: Any = None) -> Any:
        left = self.left.setdefault(given, self.times)
        self.left[given] = left - 1
        if left > 0:
            raise ValueError("no")
        return given

    async def later(self, given: Any = None) -> Any:
        await asyncio.sleep(0)
        return self(given)

    def runnable(self, name: str) -> RunnableLambda:
        return RunnableLambda(self, self.later, name=name)


class Spare(Model):
    """Another model."""


def shaky(tracing, times, kind=Model):
    """Make a model that fails a number of times."""
    return kind(tracing=tracing, before=Failures(times))


async def call(way, runnable, given, config):
    return runnable.invoke(given, config) if way == "sync" else await runnable.ainvoke(given, config)


def attempts(tracing: Tracing, name: str) -> list[Attempt]:
    """Return of each span of a name its attempt, its fallback, and which of all spans so shown it links to."""
    return list(numbered(sorted(tracing.named(name), key=lambda each: each.start_time)))


def numbered(spans: list[ReadableSpan]) -> Iterator[Attempt]:
    """Yield the same of the given spans, in their order."""
    ids = [span.context.span_id for span in spans]
    for span in spans:
        numbers = (span.attributes.get(f"langchain.run.{key}") for key in ("attempt", "fallback"))
        before = [(ids.index(link.context.span_id), link) for link in span.links if link.context.span_id in ids]
        for number, link in before:
            kind = "fallback_for" if _fallback(spans[number]) < _fallback(span) else "retry_of"
            assert link.attributes == {"langchain.link.type": kind}
        yield (*numbers, [number for number, _ in before])


def _fallback(span: ReadableSpan) -> int:
    return span.attributes.get("langchain.run.fallback", 0)


THREE = [(1, None, []), (2, None, [0]), (3, None, [1])]
THREE_FROM_TWO = [(None, None, []), *THREE[1:]]
NONE = (None, None, [])
