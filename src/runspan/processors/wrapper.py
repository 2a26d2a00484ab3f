"""What span processors have in common that pass on to another one, perhaps not all, perhaps not as it was."""

from types import EllipsisType

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import SpanContext

from runspan.arguments import shown
from runspan.attributes import Attributes


class DelegatingSpanProcessor(SpanProcessor):
    """A span processor around another one.

    Raises:
        TypeError: if the other is no span processor; it names the value.
    """

    def __init__(self, processor: SpanProcessor) -> None:
        if not isinstance(processor, SpanProcessor):
            remedy = " Put one around the exporter, such as OpenTelemetry's BatchSpanProcessor(exporter)."
            raise TypeError(
                f"processor is {shown(processor)}; it must be an instance of OpenTelemetry's SpanProcessor."
                + (remedy if isinstance(processor, SpanExporter) else "")
            )
        self._processor = processor

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the inner processor."""
        return self._processor.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """Shut the inner processor down."""
        self._processor.shutdown()


class SpanCopy(ReadableSpan):
    """An ended span with another parent or other attributes; what ended can't be changed itself."""

    def __init__(
        self,
        original: ReadableSpan,
        *,
        parent: SpanContext | EllipsisType | None = ...,
        attributes: Attributes | None = None,
    ) -> None:
        super().__init__(
            name=original.name,
            context=original.context,
            parent=original.parent if parent is ... else parent,
            resource=original.resource,
            attributes=original.attributes if attributes is None else attributes,
            events=original.events,
            links=original.links,
            kind=original.kind,
            status=original.status,
            start_time=original.start_time,
            end_time=original.end_time,
            instrumentation_scope=original.instrumentation_scope,
        )
        self._dropped = (original.dropped_attributes, original.dropped_events, original.dropped_links)

    @property
    def dropped_attributes(self) -> int:
        """How many attributes the original lost because there were too many."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """How many events it lost."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """How many links it lost."""
        return self._dropped[2]
