from collections.abc import Mapping
from types import EllipsisType

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext
from opentelemetry.util.types import AnyValue


class SpanCopy(ReadableSpan):
    """An ended span with another parent or other attributes; what ended can't be changed itself."""

    def __init__(
        self,
        original: ReadableSpan,
        *,
        parent: SpanContext | EllipsisType | None = ...,
        attributes: Mapping[str, AnyValue] | None = None,
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
        """How many attributes were dropped from the original because there were too many."""
        return self._dropped[0]

    @property
    def dropped_events(self) -> int:
        """How many events were."""
        return self._dropped[1]

    @property
    def dropped_links(self) -> int:
        """How many links were."""
        return self._dropped[2]
