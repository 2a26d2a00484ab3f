"""The end of the process, also of a child of ``multiprocessing`` or Celery: those end without ``atexit``."""

import atexit
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing import util

from runspan._forking import in_forked_child
from runspan.export.sigterm import act_on_blocked_sigterm

# After the application's own finalizers, which may end spans, and after its children were joined.
_LATE = -100


class _Registered:
    """The functions to call, the last one first."""

    def __init__(self) -> None:
        self.functions: list[Callable[[], None]] = []

    def call(self) -> None:
        for function in self.functions[::-1]:
            function()

    def expect_end_of_child(self) -> None:
        util.Finalize(None, self.call, exitpriority=_LATE)


_registered = _Registered()
if multiprocessing.parent_process() is not None:  # imported too late for what follows
    _registered.expect_end_of_child()
util.register_after_fork(_registered, _Registered.expect_end_of_child)


@in_forked_child
def _expect_end_of_celery_child() -> None:
    """Have Celery tell where a child of its pool ends, by ``os._exit``; here or after a fork it has been imported."""
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_end_of_celery_child, weak=False)


def _end_of_celery_child(**_: object) -> None:
    _registered.call()


def at_exit(function: Callable[[], None]) -> None:
    """Call a function at the end; it must bear to be called twice."""
    atexit.register(function)
    _registered.functions.append(function)
    _expect_end_of_celery_child()


def not_at_exit(function: Callable[[], None]) -> None:
    """Take it back."""
    atexit.unregister(function)
    if function in _registered.functions:
        _registered.functions.remove(function)


at_exit(act_on_blocked_sigterm)  # the first one here is called last, when all is delivered
