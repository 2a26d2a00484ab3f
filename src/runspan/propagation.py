"""Traces across processes, by the headers of W3C Trace Context and W3C Baggage, whatever carries them."""

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from opentelemetry import context as otel
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from runspan.arguments import shown

_Carrier = TypeVar("_Carrier", bound=MutableMapping[str, Any])


@runtime_checkable
class Headers(Protocol):
    """Names and values: a mapping, or what has items like one, such as the headers of Flask and of ``http.server``."""

    def items(self) -> Iterable[tuple[Any, Any]]:
        """Return the names with their values."""
        ...


_PROPAGATOR: Final = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
_HEADERS: Final = ("traceparent", "tracestate", "baggage")
# The innermost block that is open here: it may end in another context than it began in.
_innermost: Final[ContextVar[object]] = ContextVar("runspan_extract", default=None)


def inject(carrier: _Carrier) -> _Carrier:
    """Put what is current into the headers of a request or a message, so that its receiver can continue the trace.

    The headers are ``traceparent``, and ``tracestate`` and ``baggage`` if there is any: those of HTTP, and the keys
    that MCP has in ``_meta``. Instrumented HTTP clients do it by themselves.

    Args:
        carrier: a dictionary of texts.

    Returns:
        The carrier.

    Raises:
        TypeError: if it is no dictionary.

    Example:
        >>> queue.put({"question": question, "headers": runspan.inject({})})
    """
    if not isinstance(carrier, MutableMapping):
        raise TypeError(f"carrier is {shown(carrier)}; give a dictionary, such as the headers of a message.")
    _PROPAGATOR.inject(carrier)
    return carrier


@contextmanager
def extract(carrier: Headers | None) -> Iterator[None]:
    """Continue, within a block, the trace that a request or a message came with.

    What starts in the block is below the span that ``inject`` found. Without usable headers, nothing changes.
    Instrumented HTTP servers do it by themselves.

    Args:
        carrier: headers, as a dictionary or as any web framework has them, their names in any case, their values texts,
            bytes or lists of these. None is no headers.

    Returns:
        A context manager.

    Raises:
        TypeError: if it has no items, when the block begins.

    Example:
        >>> with runspan.extract(message["headers"]):
        ...     chain.invoke(message["question"], config={"callbacks": [handler]})
    """
    headers = _headers_in({} if carrier is None else carrier)
    before, around, here = otel.get_current(), _innermost.get(), object()
    otel.attach(_PROPAGATOR.extract(headers, before))
    _innermost.set(here)
    try:
        yield
    finally:
        # Not a detach: runs attach contexts above ours, and a generator may end elsewhere.
        if _innermost.get() is here:
            otel.attach(before)
            _innermost.set(around)


def _headers_in(carrier: object) -> dict[str, str]:
    if not isinstance(carrier, Headers) or isinstance(carrier, type):
        raise TypeError(f"carrier is {shown(carrier)}; give a mapping, such as the headers of a request.")
    texts: dict[str, str] = {}
    for name, value in carrier.items():
        key, text = str(name).lower(), _text(value)
        if key in _HEADERS and text:
            # W3C allows several headers for all but the first.
            texts[key] = f"{texts[key]},{text}" if key in texts and key != "traceparent" else text
    return texts


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(_text, value))
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return value if isinstance(value, str) else ""
