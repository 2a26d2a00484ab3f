"""Calls callback handlers as LangChain does.

LangChain's own functions do it, so ``ignore_*``, ``raise_error``, the fallback from chat to completion events and the
log lines are the same. In an async run an async handler is not awaited where the event happens (our own callback is a
plain function): its events go, in order, through a task on the application's loop.
"""

import asyncio
import functools
import inspect
from collections import deque
from collections.abc import Sequence
from contextvars import copy_context
from typing import Any, Final
from weakref import WeakKeyDictionary

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.callbacks.manager import ahandle_event, handle_event

from runspan._forking import in_forked_child
from runspan._guard import attempt, attempt_async
from runspan.arguments import checked_seconds
from runspan.callback_event import IGNORED_BY, Event
from runspan.runs.interfaces import EventSink
from runspan.runs.scope import only_new

_Callbacks = Sequence[BaseCallbackHandler]

# What handlers inherit that do not want the chunks of streams; it does nothing, and takes 2 µs a chunk.
_DOING_NOTHING: Final = [
    vars(base)[name]
    for base in AsyncCallbackHandler.__mro__
    for name in ("on_llm_new_token", "on_stream_event")
    if name in vars(base)
]
# So long handlers may go on once their loop closes, which waits for them: one that hangs would keep it open for ever.
_SECONDS_TO_CLOSE: Final = 5.0
# A loop refers to its tasks weakly.
_active_outboxes: Final[set["Outbox"]] = set()
_have_coroutines: Final[WeakKeyDictionary[type, bool]] = WeakKeyDictionary()
in_forked_child(_active_outboxes.clear)


def dispatch(callbacks: _Callbacks, event: Event, outbox: EventSink | None) -> None:
    """Call handlers with an event; with an outbox, the async ones later on its loop.

    Raises:
        Exception: what a sync handler with ``raise_error`` raised, as with LangChain.
    """
    if outbox is not None and (waiting := [each for each in callbacks if is_async(each)]):
        outbox.put(waiting, event)
        callbacks = [each for each in callbacks if not is_async(each)]
    if callbacks:
        handle_event(list(callbacks), event.name, IGNORED_BY[event.name], *event.args, **event.kwargs)


def is_async(handler: BaseCallbackHandler) -> bool:
    """Return whether a handler awaits in any of its callbacks."""
    kind = type(handler)
    known = _have_coroutines.get(kind)
    if known is None:
        known = any(inspect.iscoroutinefunction(getattr(kind, name, None)) for name in IGNORED_BY)
        _have_coroutines[kind] = known
    return known


def hears_chunks(handlers: _Callbacks, name: str) -> bool:
    """Return whether one of handlers does anything in the callback, by its name, that chunks of streams come to."""
    return any(getattr(getattr(each, name, None), "__func__", None) not in _DOING_NOTHING for each in handlers)


class EventLoopClosedError(RuntimeError):
    """The event loop of a run is closed, or closing, and async handlers are called on no other."""


class Outbox:
    """The events of one invocation for async handlers, handled in order by one task at a time on its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.callbacks: tuple[BaseCallbackHandler, ...] = ()
        """Those that an event was put here for."""
        self._events: deque[tuple[_Callbacks, Event] | asyncio.Future[None]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._close_by: float | None = None

    def put(self, callbacks: _Callbacks, event: Event) -> None:
        """Add an event; may be called in any thread."""
        self.callbacks += only_new(callbacks, self.callbacks)
        self._events.append((callbacks, event))
        _active_outboxes.add(self)
        if _running_loop() is self.loop:
            self._start()
        else:
            attempt(self._start_from_another_thread, default=None)

    async def flush(self) -> None:
        """Wait, on the loop of the outbox, until the handlers have been called with all events so far."""
        mark = self.loop.create_future()
        self._events.append(mark)
        self._start()
        await mark

    def _start_from_another_thread(self) -> None:
        try:
            self.loop.call_soon_threadsafe(self._start, context=copy_context())
        except RuntimeError as error:
            self._events.clear()
            _active_outboxes.discard(self)
            raise EventLoopClosedError("async handlers of a run can't be called on its event loop any more") from error

    def _start(self) -> None:
        if self._events and (self._task is None or self._task.done()):
            self._task = self.loop.create_task(self._work())
            # One that is cancelled before its first step has handled no event.
            self._task.add_done_callback(lambda _: self._start())

    async def _work(self) -> None:
        while self._events:
            event = self._events.popleft()
            if isinstance(event, asyncio.Future):
                if not event.cancelled():
                    event.set_result(None)
            else:
                await self._emit(*event)
        self._close_by = None
        _active_outboxes.discard(self)
        if self._events:  # another thread was between its two steps
            _active_outboxes.add(self)

    async def _emit(self, callbacks: _Callbacks, event: Event) -> None:
        handle: Any = functools.partial(ahandle_event, list(callbacks), event.name, IGNORED_BY[event.name])
        try:
            async with asyncio.timeout_at(self._close_by):
                await attempt_async(handle, *event.args, default=None, **event.kwargs)
        except asyncio.CancelledError:
            # The loop is closing and waits for its tasks: the other events are handled, also without an aflush().
            self._close_by = self._close_by or self.loop.time() + _SECONDS_TO_CLOSE
        except TimeoutError:
            attempt(self._give_up, default=None)

    def _give_up(self) -> None:
        for each in self._events:
            if isinstance(each, asyncio.Future):
                each.cancel()
        self._events.clear()
        raise EventLoopClosedError(
            f"async handlers went on for {_SECONDS_TO_CLOSE} s after their event loop was to close"
        )


async def flush(callbacks: _Callbacks, timeout: float) -> bool:
    """Wait until async handlers have been called with all events of this event loop; True if that was in time."""
    loop = asyncio.get_running_loop()
    wanted = {id(each) for each in callbacks}
    outboxes = [each for each in _active_outboxes.copy() if each.loop is loop and wanted & set(map(id, each.callbacks))]
    if not outboxes:
        return True
    _, late = await asyncio.wait(
        [asyncio.ensure_future(each.flush()) for each in outboxes], timeout=checked_seconds("timeout", timeout)
    )
    for each in late:
        each.cancel()
    return not late


def outbox_here() -> Outbox | None:
    """Return a new outbox on the loop that is running in this thread, None if there is none."""
    loop = _running_loop()
    if loop is None:
        return None
    _forget_closed_loops()
    return Outbox(loop)


def _forget_closed_loops() -> None:
    """Let go of outboxes whose loop was closed before their task had handled all events."""
    for each in _active_outboxes.copy():
        if each.loop.is_closed():
            _active_outboxes.discard(each)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
