"""Exporters that are built when something is to be sent, so that a thousand endpoints need no thousand connections."""

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from runspan._guard import attempt
from runspan.export.workers import workers

MOST_IDLE_EXPORTERS = 100


class OnDemandExporter(SpanExporter):
    """Build an exporter at the first export, and again after a fork or a long time without use.

    Two processes with one connection would mix up what they send. An exporter that is not in use is closed when
    a hundred others were used since, and when this object is garbage.

    Args:
        make: Builds an exporter.
    """

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        self._make = make
        self._key = next(_keys)
        self._in_use: dict[int, SpanExporter] = {}  # by process; who takes it out decides what becomes of it
        self._closed = False
        weakref.finalize(self, _close_later, self._key).atexit = False

    def build(self) -> None:
        """Build the exporter now, so that a mistake in the environment is an error here."""
        _idle.put(self._key, self._make())

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export by this process's exporter."""
        exporter = self._in_use[os.getpid()] = _idle.take(self._key) or self._built()
        try:
            return SpanExportResult.FAILURE if self._closed else exporter.export(spans)
        finally:
            self._put_back()

    def shutdown(self) -> None:
        """Shut down this process's exporter, also while it exports."""
        self._closed = True
        exporter = self._in_use.pop(os.getpid(), None) or _idle.take(self._key)
        if exporter is not None:
            exporter.shutdown()

    def _built(self) -> SpanExporter:
        with _building:
            return self._make()

    def _put_back(self) -> None:
        exporter = self._in_use.pop(os.getpid(), None)
        if exporter is None:  # shutdown had it
            return
        if self._closed:
            exporter.shutdown()
        else:
            _idle.put(self._key, exporter)


class _IdleExporters:
    """The exporters of this process that are built and not in use, the one used longest ago first.

    Each method is one step of an OrderedDict, which no other thread can interrupt.
    """

    def __init__(self) -> None:
        self._exporters: OrderedDict[int, SpanExporter] = OrderedDict()
        self._inherited: list[OrderedDict[int, SpanExporter]] = []

    def start_afresh(self) -> None:
        """Keep the parent's exporters, unused: to destroy a gRPC channel in a forked child is not safe."""
        self._inherited.append(self._exporters)
        self._exporters = OrderedDict()

    def has(self, key: int) -> bool:
        return key in self._exporters

    def take(self, key: int) -> SpanExporter | None:
        return self._exporters.pop(key, None)

    def put(self, key: int, exporter: SpanExporter) -> None:
        self._exporters[key] = exporter
        if len(self._exporters) > MOST_IDLE_EXPORTERS:
            _, oldest = self._exporters.popitem(last=False)
            attempt(oldest.shutdown, default=None)

    def close(self, key: int) -> None:
        exporter = self.take(key)
        if exporter is not None:
            attempt(exporter.shutdown, default=None)


_keys = count()
_idle = _IdleExporters()
# A fork in the middle of an import would leave the child with a module that is never complete.
_building = threading.RLock()


def _close_later(key: int) -> None:
    """Close an exporter; not here, for a finalizer may run in the middle of anything."""
    if _idle.has(key):
        workers.call(partial(_idle.close, key))


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_building.acquire, after_in_parent=_building.release, after_in_child=_building.release)
    os.register_at_fork(after_in_child=_idle.start_afresh)
