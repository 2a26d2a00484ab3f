"""What is called at the end of the process, also of a child of ``multiprocessing`` or Celery without ``atexit``."""

import atexit
import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing import util
from typing import Final

from runspan._forking import in_forked_child
from runspan._guard import attempt
from runspan._sigterm import act_on_blocked_sigterm, exit_begins

# After the application's own finalizers, which may end spans, and after its children were joined.
_LATE: Final = -100
_functions: Final[list[Callable[[], None]]] = [act_on_blocked_sigterm]  # the first is called last, when all is done


def at_exit(function: Callable[[], None]) -> None:
    """Call a function at the end, before those that were named earlier; it must bear to be called twice."""
    _functions.append(function)
    atexit.unregister(_call_all)
    atexit.register(_call_all)  # anew, for what is registered last is called first
    _expect_end_of_celery_child()


def not_at_exit(function: Callable[[], None]) -> None:
    """Take it back."""
    if function in _functions:
        _functions.remove(function)


def _call_all() -> None:
    exit_begins()
    for function in _functions[::-1]:
        attempt(function, default=None)


def _expect_end_of_child(_: object = None) -> None:
    util.Finalize(None, _call_all, exitpriority=_LATE)


if multiprocessing.parent_process() is not None:  # imported too late for what follows
    _expect_end_of_child()
util.register_after_fork(_call_all, _expect_end_of_child)


@in_forked_child
def _expect_end_of_celery_child() -> None:
    """Have Celery say where a child of its pool ends, by ``os._exit``; here or after a fork it has been imported."""
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_end_of_celery_child, weak=False)


def _end_of_celery_child(**_: object) -> None:
    _call_all()
