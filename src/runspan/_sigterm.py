"""SIGTERM, by which most servers are ended: what has ended is delivered, and the signal acts as it would without us.

Our handler stands before the one in place. If that is the default, we deliver and let it act. If it is a function, such
as a server's, a graceful shutdown begins, after which many servers restore the default and raise the signal again: that
would end the process without ``atexit``. So the signal is blocked in the main thread until ``atexit`` has delivered.
Python waits for other threads before ``atexit``; where that takes long, a thread of ours delivers and ends the process.

Servers save and restore handlers, and reset them in their workers. So each of ours knows its own predecessor, and about
once a second the start of a span looks whether one of ours is in place; if not the main thread is asked to set one.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from types import FrameType
from typing import TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from runspan._forking import in_forked_child
from runspan._guard import attempt
from runspan._missed_signals import is_child, send_missed_again
from runspan._threads import Event, get_ident, sleep, start_thread

_Function: TypeAlias = Callable[[int, FrameType | None], object]

_LOOK_AGAIN_SECONDS = 1.0
# The longest graceful shutdown that we know of; who is still there after it has not ended by the signal and lives on.
_LONGEST_SHUTDOWN_SECONDS = 600.0
# How often to look whether a server has raised the signal again, and how long ``atexit`` may take to come then.
_RAISED_SECONDS = 0.25
# How long the main thread waits for a delivery at a time, and how long it goes on in between.
_PATIENCE_SECONDS = 0.5
_MOMENT_SECONDS = 0.01
# For putting on disk, or logging, what could not be delivered.
_STORE_SECONDS = 1.0
_IS_POSIX = hasattr(signal, "pthread_sigmask")


class SigtermWatch(SpanProcessor):
    """Deliver when the process is ended by SIGTERM; on the tracer provider it sees to it that it stays installed.

    Args:
        begin_ending: called in the handler when a shutdown begins. Must neither wait nor take a lock, for the main
            thread is in the middle of anything.
        live_on: called when there was no end after all.
        deliver: called, in a thread of its own, before the default action.
        timeout_seconds: what ``deliver`` may take.
    """

    def __init__(
        self,
        *,
        begin_ending: Callable[[], None],
        live_on: Callable[[], None],
        deliver: Callable[[], None],
        timeout_seconds: float,
    ) -> None:
        self.begin_ending = begin_ending
        self.live_on = live_on
        self._deliver = deliver
        self._timeout_seconds = timeout_seconds

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        """Look whether our handler is in place, if that is due."""
        if _state.watch is self and time.monotonic() >= _state.look_at:
            _state.look_at = time.monotonic() + _LOOK_AGAIN_SECONDS
            is_ours = isinstance(signal.getsignal(signal.SIGTERM), _Handler)
            if _state.blocked_at is not None or _state.is_forked or not is_ours:
                _look_in_main_thread()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002  the interface
        """Return True: it holds nothing back. In older OpenTelemetry the default is None, which counts as a failure."""
        return True

    def start(self) -> None:
        """Set the handler; takes the place of an earlier watch."""
        if _IS_POSIX:
            _expect_forks()
            _state.watch = self
            _look_in_main_thread()

    def stop(self) -> None:
        """Leave signals alone; a handler of ours that a server keeps does what its predecessor would."""
        if _state.watch is self:
            _state.watch = None
            if _is_main_thread():
                _uninstall()

    def deliver(self) -> None:
        """Deliver in a thread of its own, and wait for it."""
        over, until = self.begin_delivery()
        over.wait(until - time.monotonic())

    def begin_delivery(self) -> tuple[Event, float]:
        """Begin to deliver; return what is set when that is over, and until when to wait for it."""
        over = Event()

        def work() -> None:
            attempt(self._deliver, default=None)
            over.set()

        try:
            start_thread(work, "runspan-sigterm")
        except RuntimeError:
            # From Python 3.12 on none starts while the main thread waits for others at its end, before `atexit`.
            work()
        return over, time.monotonic() + self._timeout_seconds + _STORE_SECONDS


class _State:
    """What there is once per process, for SIGTERM is."""

    def __init__(self) -> None:
        self.watch: SigtermWatch | None = None
        self.look_at = 0.0
        self.blocked_at: float | None = None
        self.delivery: tuple[Event, float] | None = None
        self.is_waiting = False
        self.is_exiting = False
        self.is_pending = False
        self.is_forked = False
        self.is_forking = False
        self.was_called = False
        self.pending_look: dict[str, Callable[[object], int]] = {}


_state = _State()


class _Handler:
    """What is called at SIGTERM; ``previous`` is None for the default action."""

    def __init__(self, previous: _Function | None) -> None:
        self.previous = previous

    def __call__(self, number: int, frame: FrameType | None) -> None:
        _state.was_called = True
        watch = _state.watch
        if self.previous is None:
            _end(watch)
            return
        if watch is not None:
            watch.begin_ending()
            _block()
        self.previous(number, frame)


def _end(watch: SigtermWatch | None) -> None:
    """Deliver, then let the default action end the process."""
    if os.getpid() == 1:  # Linux has no default action for it: it lives on
        if watch is not None:
            watch.begin_ending()
        return
    if _state.is_exiting or _state.is_forking:  # the main thread delivers already, or holds locks that we need
        _state.is_pending = True
        return
    if _state.is_waiting:  # a second signal, as from a process group and a parent
        return
    _state.is_waiting, is_over = True, True
    try:
        is_over = watch is None or _is_delivered(watch)
    finally:
        _state.is_waiting = False
        if is_over:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            _unblock()
            signal.raise_signal(signal.SIGTERM)


def _is_delivered(watch: SigtermWatch) -> bool:
    """Wait for the delivery; False if the main thread is to go on for a moment, after which the signal comes again.

    In the middle of anything it may hold what the delivery needs, such as a lock of ``logging``.
    """
    over, until = _state.delivery = _state.delivery or watch.begin_delivery()
    if over.wait(min(_PATIENCE_SECONDS, until - time.monotonic())):
        return True
    with suppress(RuntimeError):  # no thread starts any more
        if time.monotonic() < until:
            start_thread(_send_again)
            return False
    over.wait(until - time.monotonic())
    return True


def _send_again() -> None:
    sleep(_MOMENT_SECONDS)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)


def _look(_: object = None) -> int:
    """Set things right, in the main thread; gives what a pending call of Python's must."""
    watch = _state.watch
    if watch is None:
        return 0
    if _state.blocked_at is not None and time.monotonic() > _state.blocked_at + _LONGEST_SHUTDOWN_SECONDS:
        _unblock()
        watch.live_on()
    _install()
    _state.is_forked = False
    if is_child():
        attempt(send_missed_again, lambda: _state.was_called, default=None)
    return 0


def _install() -> None:
    """Put a handler before the one in place, unless that is ours, ignores the signal or is none of Python's."""
    present = signal.getsignal(signal.SIGTERM)
    if isinstance(present, _Handler) or not (callable(present) or present == signal.SIG_DFL):
        return
    handler = _Handler(present if callable(present) else None)
    signal.signal(signal.SIGTERM, handler)
    if signal.getsignal(signal.SIGTERM) is not handler:  # mod_wsgi takes none, and complains of each in the log
        _state.watch = None


def _uninstall() -> None:
    present = signal.getsignal(signal.SIGTERM)
    if isinstance(present, _Handler):
        signal.signal(signal.SIGTERM, present.previous or signal.SIG_DFL)


def _block() -> None:
    if signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}):
        _state.blocked_at = time.monotonic()
        with suppress(RuntimeError):  # no thread starts any more: `atexit` is near
            start_thread(partial(_end_when_raised_again, _state.blocked_at))


def _end_when_raised_again(blocked_at: float) -> None:
    """Deliver and end the process if the main thread, where the signal is blocked, waits for others before its end."""
    is_raised, until = False, blocked_at + _LONGEST_SHUTDOWN_SECONDS
    while _state.blocked_at == blocked_at and not _state.is_exiting and time.monotonic() < until:
        if is_raised:
            attempt(_end_here, default=None)
            return
        is_raised = _is_raised_again()
        sleep(_RAISED_SECONDS)


def _is_raised_again() -> bool:
    """Return whether the default action would have ended the process; only Linux shows what a thread blocks."""
    present = signal.getsignal(signal.SIGTERM)
    if present != signal.SIG_DFL and not (isinstance(present, _Handler) and present.previous is None):
        return False  # the server has not given its handler back
    try:
        status = Path(f"/proc/self/task/{threading.main_thread().native_id}/status").read_text(errors="replace")
    except OSError:
        return False
    pending = next((line for line in status.splitlines() if line.startswith("SigPnd:")), "SigPnd: 0")
    return bool(int(pending.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def _end_here() -> None:
    """Deliver, then end the process by the default action, in a thread that may set no handler by Python's means."""
    import ctypes  # noqa: PLC0415  not every Python has it

    if _state.watch is not None:
        _state.watch.deliver()
    ctypes.pythonapi.PyOS_setsig(int(signal.SIGTERM), int(signal.SIG_DFL))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    signal.raise_signal(signal.SIGTERM)


def _unblock() -> None:
    if _state.blocked_at is not None:
        _state.blocked_at = None
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def exit_begins() -> None:
    """Have a signal wait that comes while the process delivers at its end."""
    _state.is_exiting = True


def act_on_blocked_sigterm() -> None:
    """Let a signal act that came during a graceful shutdown or an exit; called when all is delivered."""
    _unblock()
    if _state.is_pending:
        _state.is_pending = False
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)


def _look_in_main_thread() -> None:
    """Look here or, without waiting, wherever the main thread is: nowhere else may handlers be set."""
    if _is_main_thread():
        _look()
    else:
        attempt(_ask_main_thread, default=None)


def _ask_main_thread() -> None:
    import ctypes  # noqa: PLC0415  not every Python has it

    # The first that any thread has made, for it must live until it is called.
    look = _state.pending_look.setdefault("look", ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(_look))
    ctypes.pythonapi.Py_AddPendingCall(look, None)


def _is_main_thread() -> bool:
    return threading.main_thread().ident == get_ident()


@cache
def _expect_forks() -> None:
    """Have a signal wait while the process forks; asked for late, so that a fork releases all locks before it acts."""
    os.register_at_fork(before=_fork_begins, after_in_parent=_fork_is_over)


def _fork_begins() -> None:
    _state.is_forking = True


def _fork_is_over() -> None:
    _state.is_forking = False
    if _state.is_pending and not _state.is_exiting:
        _state.is_pending = False
        signal.raise_signal(signal.SIGTERM)


@in_forked_child
def _reset() -> None:
    """A child has not been asked to end; its server may have reset the signals."""
    _state.look_at = 0.0
    _state.is_waiting = _state.is_exiting = _state.is_forking = _state.is_pending = _state.was_called = False
    _state.delivery = None
    _state.is_forked = True
    _unblock()
