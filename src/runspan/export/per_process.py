import os
from collections.abc import Callable, Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult


class PerProcessExporter(SpanExporter):
    """Give every forked process an exporter of its own: a connection shared by two mixes up what they send.

    Args:
        make: Builds an exporter; called now, and again at the first export after a fork.
    """

    def __init__(self, make: Callable[[], SpanExporter]) -> None:
        self._make = make
        # The parent's exporters stay referenced: to destroy a gRPC channel in a child is not safe.
        self._exporters = [make()]
        self._process = os.getpid()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export by this process's exporter."""
        if self._process != os.getpid():
            self._exporters.append(self._make())
            self._process = os.getpid()
        return self._exporters[-1].export(spans)

    def shutdown(self) -> None:
        """Shut down this process's exporter."""
        if self._process == os.getpid():
            self._exporters[-1].shutdown()
