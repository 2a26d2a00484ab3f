"""The names that one backend reads, where backends read different ones and add up what they don't know."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from runspan import semconv
from runspan._guard import attempt
from runspan.arguments import shown
from runspan.payload.usage import INPUT_MODALITIES, OUTPUT_MODALITIES
from runspan.processors.wrapper import DelegatingSpanProcessor, SpanCopy

Backend: TypeAlias = Literal["jaeger", "langfuse", "mlflow", "phoenix"]

_LEGACY_CACHE: Final = {semconv.CACHE_WRITE_TOKENS: semconv.CACHE_CREATION_TOKENS}
# By which name each backend reads what another one says. None: by no name, and would add it to the sum of which it is
# a part.
_NAMES: Final[Mapping[str, Mapping[str, str | None]]] = {
    "jaeger": _LEGACY_CACHE,
    "langfuse": {
        **_LEGACY_CACHE,
        semconv.RELEASE: semconv.LANGFUSE_RELEASE,
        semconv.COST_AMOUNT: semconv.LANGFUSE_COST,
        **dict.fromkeys((*INPUT_MODALITIES.values(), *OUTPUT_MODALITIES.values())),
    },
    "mlflow": {semconv.CACHE_CREATION_TOKENS: semconv.CACHE_WRITE_TOKENS},
    "phoenix": _LEGACY_CACHE,
}


def checked_backend(value: str) -> str:
    """Return the name of a backend.

    Raises:
        ValueError: if there is no such preset.
    """
    if not isinstance(value, str) or value not in _NAMES:
        raise ValueError(f"backend is {shown(value)}; it must be {', '.join(map(repr, get_args(Backend)))} or None.")
    return value


class BackendSpanProcessor(DelegatingSpanProcessor):
    """Pass spans on with the names that one backend reads, so that each count is there once.

    Tokens written to a cache have two names on spans, since backends differ in which one they read. Langfuse adds up
    what it does not know: these tokens twice, and those of text, images, audio and video on top of the sum that they
    are part of. It also reads release and cost by names of its own.

    Args:
        processor: hears the spans; what its ``on_end`` gets may be a copy.
        backend: where they go.

    Raises:
        TypeError: if it is no span processor; it names the value.
        ValueError: if there is no such backend.

    Example:
        ``BackendSpanProcessor(OtlpSpanProcessor(endpoint, headers=headers), "langfuse")``
    """

    def __init__(self, processor: SpanProcessor, backend: Backend) -> None:
        super().__init__(processor)
        self._names = _NAMES[checked_backend(backend)]

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass the start on."""
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a span on, as a copy if it has a name that the backend reads by another."""
        self._processor.on_end(attempt(self._renamed, span, default=span))

    def _renamed(self, span: ReadableSpan) -> ReadableSpan:
        attributes = dict(span.attributes or {})
        found = self._names.keys() & attributes.keys()
        for name in found:
            value, read = attributes.pop(name), self._names[name]
            if read is not None:
                attributes.setdefault(read, value)
        return SpanCopy(span, attributes=attributes) if found else span
