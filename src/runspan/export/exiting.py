"""The end of the process, also of a child that ``multiprocessing`` has forked: that one ends without ``atexit``."""

import atexit
import multiprocessing
from collections.abc import Callable
from multiprocessing import util

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


def at_exit(function: Callable[[], None]) -> None:
    """Call a function at the end; it must bear to be called twice."""
    atexit.register(function)
    _registered.functions.append(function)


def not_at_exit(function: Callable[[], None]) -> None:
    """Take it back."""
    atexit.unregister(function)
    if function in _registered.functions:
        _registered.functions.remove(function)


at_exit(act_on_blocked_sigterm)  # the first one here is called last, when all is delivered
