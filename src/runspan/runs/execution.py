"""Where a run began, and whether its body is still executing.

LangChain calls ``on_*_start`` from the function that does the run's work. While that function is on a call stack, or in
the chain of coroutines that its task awaits, the run is at work. A site remembers the function's frame by identity
alone, never by reference: a frame kept alive keeps its user's data alive. The callback manager is a local variable of
that frame; as long as it lives the frame does too, and no other frame can have the same identity.

A thread may have several stacks: each greenlet has one (gevent, eventlet, SQLAlchemy's asyncio extension). Of those one
executes, the others are suspended. A greenlet returns to its parent, so what the parent waits in is around it.
"""

import asyncio
import enum
import inspect
import itertools
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator
from types import CoroutineType, FrameType, GeneratorType
from typing import Any, Final, Protocol

from runspan._threads import get_ident as _thread_id
from runspan.runs import garbage_collection
from runspan.runs.known_frame import KnownFrame

_frame_at = sys._getframe  # noqa: SLF001  a documented function of CPython
_frames_of_threads = sys._current_frames  # noqa: SLF001  the same
# Of asyncio for "library and framework developers": without a loop the public one costs an exception at each run.
_running_loop = asyncio._get_running_loop  # noqa: SLF001

# The public methods that return when the run is over, also where they read their object's own stream.
_READING_METHODS: Final = ("invoke", "ainvoke")
# The module of LangChain whose generators swallow that their consumer left, and then report an ordinary end.
_STREAMS: Final = "langchain_core.runnables.base"
GENERATOR_FLAGS: Final = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class Style(enum.Enum):
    """The kind of function that started a run; how to find out whether the run executes here depends on it."""

    ORDINARY = enum.auto()
    """A function or coroutine: it returns when the run is over."""
    GENERATOR = enum.auto()
    """A generator, sync or async: its consumer runs between its steps."""
    NESTED = enum.auto()
    """A function within a function, as in ``stream_events(version="v3")`` of a model: it returns at once."""
    OWN_TASK = enum.auto()
    """A task of its own, as ``asyncio.gather`` makes for each start: it is done at once."""


# In Python 3.11 a member of an enum takes 0.2 µs to look up, and each run asks some eight times.
ORDINARY: Final = Style.ORDINARY
GENERATOR: Final = Style.GENERATOR
NESTED: Final = Style.NESTED
OWN_TASK: Final = Style.OWN_TASK


class _Greenlet(Protocol):
    @property
    def gr_frame(self) -> FrameType | None:
        """The innermost frame while it is suspended, else None."""

    @property
    def parent(self) -> "_Greenlet | None":
        """Where it returns to; a thread has one greenlet without."""

    @property
    def dead(self) -> bool:
        """Whether it is over; that without a parent with its thread."""


class ExecutionSite(KnownFrame):
    """The function, thread, greenlet and task that started a run.

    Args:
        starter: the frame that started the run.
        manager: the callback manager that announced it, None without one.
        on_gone: called when the callback manager that started the run no longer exists.
    """

    __slots__ = (
        "__weakref__",
        "_coroutine",
        "_greenlet",
        "_is_coroutine",
        "_task",
        "manager",
        "module",
        "style",
        "thread_id",
    )

    def __init__(self, starter: FrameType, manager: object | None, on_gone: Callable[[object], None]) -> None:
        frame, module, flags = starter, starter.f_globals.get("__name__"), starter.f_code.co_flags
        style = ORDINARY
        if flags & GENERATOR_FLAGS:
            reader = _reader_until_the_end(frame)
            if reader is None:
                style = GENERATOR
                if module == _STREAMS:
                    garbage_collection.watch()
            else:
                frame, flags = reader, reader.f_code.co_flags
        elif frame.f_globals.get("__package__") == "asyncio":
            style = OWN_TASK
        elif flags & inspect.CO_NESTED:
            style = NESTED
        self._remember(frame)
        self.module: object = module
        self.style = style
        self._is_coroutine = manager is not None and bool(flags & inspect.CO_COROUTINE)
        self.thread_id = _thread_id()
        greenlet = _current_greenlet()
        self._greenlet = None if greenlet is None else weakref.ref(greenlet)
        task = _current_task()
        self._task = None if task is None else weakref.ref(task)
        self._coroutine: weakref.ref[CoroutineType[Any, Any, Any]] | None = None
        """The coroutine of the frame, once it was found to be awaited."""
        self.manager = None if manager is None else weakref.ref(manager, on_gone)
        """Refers weakly to the callback manager of the start; None where somebody drives the handler by hand."""

    @property
    def has_manager(self) -> bool:
        """Whether LangChain started the run, and not somebody who drives the handler by hand."""
        return self.manager is not None

    @property
    def is_langchains(self) -> bool:
        """Whether it is a function of LangChain or LangGraph."""
        return isinstance(self.module, str) and self.module.startswith(("langchain", "langgraph"))

    def is_collected(self) -> bool:
        """Return whether the callback manager that started the run no longer exists."""
        return self.manager is not None and self.manager() is None

    def is_open_generator(self) -> bool:
        """Return whether it is a generator that LangChain or LangGraph has not closed yet: it reports its own end."""
        return self.style is GENERATOR and self.has_manager and not self.is_collected()

    @property
    def is_langchains_stream(self) -> bool:
        """Whether it is a stream of LangChain's own: nobody but its generator reports its end, and not always.

        LangChain's streams with fallbacks don't report that their consumer left after the first chunk, those of
        ``stream_events(version="v3")`` of a model at no time: they refer to the function that started the run.
        """
        return self.style in (GENERATOR, NESTED) and str(self.module).startswith("langchain_core.")

    def is_current_task(self) -> bool:
        """Return whether this is the thread, the greenlet and the task that the run started in."""
        if self.thread_id != _thread_id() or self._started_in() is not _current_task():
            return False
        greenlet = _current_greenlet()
        return greenlet is None or self._started_in_greenlet() is greenlet

    def is_same_task(self, other: "ExecutionSite") -> bool:
        """Return whether two runs started in the same task, or outside of tasks in the same thread or greenlet."""
        return (
            self.thread_id == other.thread_id
            and self._started_in_greenlet() is other._started_in_greenlet()  # noqa: SLF001  of the same class
            and self._started_in() is other._started_in()  # noqa: SLF001  the same
        )

    def is_same_frame(self, other: "ExecutionSite") -> bool:
        """Return whether one frame started both; ``other`` is the later."""
        # The manager of a node of LangGraph lives longer than the frame that started it.
        return self.frame_id == other.frame_id and self.module == other.module and not self.is_collected()

    def is_on_present_stack(self) -> bool:
        """Return whether the starting frame is on the stack of the caller, or on one that waits for it."""
        return not self.is_collected() and (self.is_below() or any(map(self._is_on, _stacks_around())))

    def is_seen_executing(self) -> bool:
        """Return whether the starting frame is executing, if that is seen at once; else it may be nevertheless.

        LangChain gathers what its models do asynchronously, so the coroutine that started one mostly waits for a task.
        Who awaits a coroutine goes on when that is finished, and not before: so it is looked for once.
        """
        if self._coroutine is not None and (coroutine := self._coroutine()) is not None:
            return coroutine.cr_frame is not None
        may_be_awaited = self._is_coroutine and self._task is not None
        if (self._distance or not may_be_awaited) and self.is_below():
            return True
        if not may_be_awaited:
            return False
        return self._is_awaited() if self._started_in() is not _current_task() else self.is_below()

    def is_executing(self) -> bool:
        """Return whether the starting frame is executing, in whatever thread, greenlet or task it started."""
        if self.is_collected():
            return False
        if self.is_seen_executing() or self.is_on_present_stack():
            return True
        return not self.is_current_task() and self.is_executing_elsewhere()

    def is_executing_elsewhere(self) -> bool:
        """Return whether the starting frame is on the stack of its thread or greenlet, or awaited by its task."""
        if self._is_on(self._own_stack()):
            return True
        return self._task is not None and self._is_awaited()

    def is_task_alive(self) -> bool:
        """Return whether the thread, greenlet or task that the run started in can still execute anything."""
        if self._greenlet is not None and ((greenlet := self._greenlet()) is None or greenlet.dead):
            return False
        if self._task is None:
            return self.thread_id in _frames_of_threads()
        task = self._task()
        return task is not None and not task.done()

    def was_cancelled(self) -> bool:
        """Return whether the run was cancelled: with its task, or its coroutine alone, as by a timeout.

        LangChain's coroutines report everything they raise but a cancellation, so one that is over without a report
        was cancelled.
        """
        task = self._started_in()
        if task is None:
            return False
        return task.cancelled() or task.cancelling() > 0 or (self._is_coroutine and not self.is_executing())

    def was_left(self) -> bool:
        """Return, while LangChain reports the end of a chain, whether it is a stream that its consumer left.

        Then the generator that the chain passes on is suspended in the midst; that of a whole stream is finished. The
        garbage collector may have closed that one first: whatever stream it ends was left.
        """
        if not self._is_swallowing:
            return False
        frame = self._found_on(_frame_at(1))
        return frame is not None and (
            garbage_collection.is_collecting_here()
            or any(isinstance(value, GeneratorType) and value.gi_suspended for value in frame.f_locals.values())
        )

    @property
    def _is_swallowing(self) -> bool:
        return self.style is GENERATOR and self.module == _STREAMS

    def watch(self, other: object) -> "weakref.ref[object] | None":
        """Refer to something else whose end is reported as that of the manager is; None where there is no manager."""
        # A method takes 64 bytes each time it is got from its object, so the one that is there is used again.
        return None if self.manager is None else weakref.ref(other, self.manager.__callback__)

    def forget(self) -> None:
        """Drop the references, so that nothing is called back when the manager goes."""
        self.manager = None

    def _is_on(self, frame: FrameType | None) -> bool:
        return self._found_on(frame) is not None

    def _found_on(self, frame: FrameType | None) -> FrameType | None:
        while frame is not None and id(frame) != self.frame_id:
            frame = frame.f_back
        return frame

    def _own_stack(self) -> FrameType | None:
        greenlet = self._started_in_greenlet()
        suspended = None if greenlet is None else greenlet.gr_frame
        return suspended or _frames_of_threads().get(self.thread_id)

    def _started_in_greenlet(self) -> _Greenlet | None:
        if self._greenlet is not None:
            return self._greenlet()
        # No greenlets existed then: it was the one that its thread has now without a parent.
        return _first_greenlet() if self.thread_id == _thread_id() else None

    def _started_in(self) -> "asyncio.Task[Any] | None":
        return self._task() if self._task is not None else None

    def _is_awaited(self) -> bool:
        task = self._started_in()
        if task is None or task.done():
            return False
        awaited: object = task.get_coro()
        while isinstance(awaited, CoroutineType | GeneratorType):
            frame = awaited.cr_frame if isinstance(awaited, CoroutineType) else awaited.gi_frame
            if frame is not None and id(frame) == self.frame_id:
                if isinstance(awaited, CoroutineType):
                    self._coroutine = weakref.ref(awaited)
                return True
            awaited = awaited.cr_await if isinstance(awaited, CoroutineType) else awaited.gi_yieldfrom
        # A task that waits for a future is at the end of its chain; a step of an async generator can't be looked into.
        return isinstance(awaited, Awaitable) and self.has_manager and not self.is_collected()


def _reader_until_the_end(generator: FrameType) -> FrameType | None:
    """Return the method that reads its own object's stream to the end, if that is who reads the generator.

    ``invoke`` of a graph does: nobody else's code runs between the chunks.
    """
    reader = generator.f_back
    if reader is None or reader.f_globals is not generator.f_globals or reader.f_code.co_name not in _READING_METHODS:
        return None
    return reader


def present_stack() -> Iterator[FrameType]:
    """Yield the frames of the caller's stack, then those that wait for it, the innermost first."""
    for innermost in itertools.chain([_frame_at(1)], _stacks_around()):
        frame: FrameType | None = innermost
        while frame is not None:
            yield frame
            frame = frame.f_back


def _current_greenlet() -> _Greenlet | None:
    """Return the greenlet that executes, None where nobody has imported what makes them."""
    get_current = getattr(sys.modules.get("greenlet"), "getcurrent", None)
    return get_current() if get_current is not None else None


def _first_greenlet() -> _Greenlet | None:
    """Return the greenlet of this thread that was there before any other."""
    greenlet = _current_greenlet()
    while greenlet is not None and greenlet.parent is not None:
        greenlet = greenlet.parent
    return greenlet


def _stacks_around() -> Iterator[FrameType]:
    """Yield the stacks that wait for the present one, the innermost first, each by its innermost frame."""
    greenlet = _current_greenlet()
    while greenlet is not None and (greenlet := greenlet.parent) is not None:
        if greenlet.gr_frame is not None:
            yield greenlet.gr_frame


def _current_task() -> "asyncio.Task[Any] | None":
    loop = _running_loop()
    return None if loop is None else asyncio.current_task(loop)
