"""Blocks within each other, and blocks that others enter: context managers, exit stacks, generators."""

import asyncio
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager

import pytest

import runspan
from tests.recorders import Processor


@pytest.fixture
def block(tracing):
    """Return a function that makes a block with a processor."""
    return lambda each: runspan.invocation(span_processors=[each], tracer_provider=tracing.provider)


def test_blocks_within_each_other_in_one_function(tracing, block):
    """The outer ones hear what starts in the inner ones."""
    outer, inner = Processor(), Processor()
    with block(outer), block(inner):
        tracing.mark("a")
    with block(outer):
        with block(inner):
            tracing.mark("b")
        tracing.mark("c")
    tracing.mark("out")
    assert outer.started == ["a", "b", "c"]
    assert inner.started == ["a", "b"]


def test_a_block_in_a_context_manager(tracing, block):
    """It is a block of the code that uses it, also in a generator, whose consumer is outside."""
    processor = Processor()

    @contextmanager
    def listening():
        with block(processor):
            yield

    def steps():
        with listening():
            tracing.mark("step")
            yield
            tracing.mark("next step")

    with listening():
        tracing.mark("a")
    for _ in steps():
        tracing.mark("consumer")
    listening()(tracing.mark)("b")
    tracing.mark("out")
    assert processor.started == ["a", "step", "next step", "b"]


def test_a_block_in_an_exit_stack(tracing, block):
    """It is a block of the function that enters it, so the consumer of a generator is outside."""
    processor = Processor()

    def steps():
        with ExitStack() as stack:
            stack.enter_context(block(processor))
            tracing.mark("step")
            yield
            tracing.mark("next step")

    for _ in steps():
        tracing.mark("consumer")
    assert processor.started == ["step", "next step"]


async def test_a_block_in_an_async_context_manager(tracing, block):
    """Likewise, also one in another, in an exit stack, and in an async generator."""
    processor = Processor()

    @asynccontextmanager
    async def inner():
        async with block(processor):
            yield

    @asynccontextmanager
    async def listening():
        async with inner():
            yield

    async def steps():
        async with listening():
            tracing.mark("step")
            yield

    async def work():
        tracing.mark("task")

    async with listening():
        await asyncio.create_task(work())
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(listening())
        tracing.mark("a")
    async for _ in steps():
        tracing.mark("consumer")
    tracing.mark("out")
    assert processor.started == ["task", "a", "step"]
