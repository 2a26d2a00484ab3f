"""Waiting for what other threads do."""

import asyncio
import contextlib
import gc
import time
from contextvars import ContextVar

import pytest

_at_hang: ContextVar = ContextVar("at_hang", default=lambda: None)


def wait_until(condition, seconds=30):
    """Poll a condition that another thread makes true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.001)


def collect_until(condition):
    """Collect garbage until all is gone that the condition asks for.

    ``gc.collect`` does nothing while another thread is in the middle of a collection.
    """

    def collected():
        gc.collect()
        return condition()

    wait_until(collected, seconds=30)


@contextlib.contextmanager
def at_hang(call):
    """Call something when code of this block, or of the tasks and threads that it starts, gets to ``hang``."""
    token = _at_hang.set(call)
    try:
        yield
    finally:
        _at_hang.reset(token)


def hang_begins():
    """Report that what others wait for is reached, for code that waits in a way of its own."""
    _at_hang.get()()


async def hang():
    """Wait for ever."""
    hang_begins()
    await asyncio.Event().wait()


async def timed_out(awaitable):
    """Await what hangs, until it does: then its time is over, however slow the machine was on the way there."""
    with pytest.raises(TimeoutError):
        await until_it_hangs(awaitable)


async def until_it_hangs(awaitable):
    """Await what hangs, until it does; raises a TimeoutError then."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        with at_hang(lambda: loop.call_soon_threadsafe(timeout.reschedule, loop.time())):
            await awaitable
