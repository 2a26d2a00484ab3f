"""A slot on a tracer provider for processors that change: what was added to a provider can't be removed."""

from collections.abc import Iterable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, SynchronousMultiSpanProcessor
from opentelemetry.trace import TracerProvider

from runspan._by_identity import ByIdentity
from runspan.processors.wrapper import DelegatingSpanProcessor


class ReplaceableSpanProcessor(DelegatingSpanProcessor):
    """Pass spans on to whichever processors are in force."""

    def __init__(self) -> None:
        super().__init__(_all_of(()))

    def replace(self, processors: Iterable[SpanProcessor]) -> None:
        """Pass spans to these processors from now on, and no longer to those before."""
        self._processor = _all_of(processors)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass the start on."""
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass the end on, also of a span that others heard start."""
        self._processor.on_end(span)


def _all_of(processors: Iterable[SpanProcessor]) -> SpanProcessor:
    together = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]  # the SDK gives its constructor no types
    for each in processors:
        together.add_span_processor(each)
    return together


by_provider: Final[ByIdentity[TracerProvider, ReplaceableSpanProcessor]] = ByIdentity()
"""The one of each provider that has one."""
