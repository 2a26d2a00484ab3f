"""Ctrl-C at each line of some packages, one after the other."""

import functools
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import runspan

OURS = str(Path(runspan.__file__).parent)


class Interrupted:
    """Calls a function and raises KeyboardInterrupt in it at the n-th line of some packages.

    Args:
        packages: the folders of the packages.
        at: which line.
    """

    def __init__(self, packages, at):
        self.lines = 0
        self._packages = packages
        self._at = at

    def call(self, function):
        """Tell whether it was over before that line."""
        before = sys.gettrace()  # of a measurement of coverage
        sys.settrace(self._enter)
        try:
            function()
        except KeyboardInterrupt:
            return False
        finally:
            sys.settrace(before)
        return True

    def _enter(self, frame, event, argument):
        # What is raised in a callback of a weak reference or of the garbage collector is nobody's.
        is_nobodys = frame.f_code.co_name in {"_on_gone", "_on_collection"}
        is_meant = frame.f_code.co_filename.startswith(self._packages) and not is_nobodys
        return self._step if is_meant else None

    def _step(self, frame, event, argument):
        if event == "line":
            self.lines += 1
            if self.lines == self._at:
                raise KeyboardInterrupt
        return self._step


def in_a_thread(test):
    """Run a test in a thread of its own.

    Where a trace function raises at the end of an ``except`` block, the exception that was handled there stays the
    thread's for good, and would be the context of each later one.
    """

    @functools.wraps(test)
    def run(**fixtures):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, **fixtures).result()

    return run


def interrupt_everywhere(call, packages, step, check):
    """Interrupt a call at every so many lines until it comes to its end; return at how many."""
    at = 1
    while not Interrupted(packages, at).call(call):
        check(at)
        at += step
    return at // step
