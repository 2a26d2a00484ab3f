"""One call for people who have no OpenTelemetry set up; nothing here is needed by those who have."""

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, Self, TypeAlias, get_args, runtime_checkable

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.util.types import AttributeValue

from runspan._forking import fork_safe_lock
from runspan.arguments import shown
from runspan.export.alive import begin_ending, live_on
from runspan.export.closing import close_all
from runspan.export.counts import Stats
from runspan.export.direct import DirectSpanProcessor
from runspan.export.exiting import at_exit, not_at_exit
from runspan.export.otlp.target import endpoint_in_environment, resolve_target
from runspan.export.otlp_processor import OtlpSpanProcessor
from runspan.export.processor import MAX_REQUEST_BYTES, DeliveringSpanProcessor
from runspan.export.sigterm import SigtermWatch
from runspan.export.spool.choice import Durability
from runspan.export.spool.files import Spool
from runspan.processors.console import TreeSpanExporter
from runspan.processors.one_call import OneCallSpanProcessor
from runspan.processors.replaceable import ReplaceableSpanProcessor, by_provider
from runspan.runs.tracing import end_open_runs

_logger = logging.getLogger("runspan")
_EXPORTERS = ("otlp", "console", "none")
NestedModelSpans: TypeAlias = Literal["deduplicate", "keep"]
_Processors = Sequence[DeliveringSpanProcessor | DirectSpanProcessor]


class Handle:
    """What ``configure`` set up. As a context manager it shuts down at the end of the block."""

    def __init__(self, tracer_provider: trace.TracerProvider, processors: _Processors, exit_timeout: float) -> None:
        self.tracer_provider = tracer_provider
        self.is_open = True
        self._processors = processors
        self._exit_timeout = exit_timeout
        self._sigterm_watch: SigtermWatch | None = None
        at_exit(self._close_everything)

    def force_flush(self, timeout: float = 10) -> bool:
        """Send what has ended so far, in at most ``timeout`` seconds; True only if all of it was delivered."""
        deadline = time.monotonic() + timeout
        flushed = [each.force_flush(_milliseconds_until(deadline)) for each in self._processors]
        return all(flushed)

    def stats(self) -> Stats:
        """Return how many spans were taken, sent, retried, shortened, spooled and dropped, by reason."""
        delivering = [each for each in self._processors if isinstance(each, DeliveringSpanProcessor)]
        return sum((each.stats() for each in delivering), Stats())

    def shutdown(self, timeout: float = 4) -> bool:
        """Deliver what can be delivered in ``timeout`` seconds and stop; the tracer provider stays in place.

        Returns:
            Whether all was delivered, as ``force_flush`` has it.
        """
        self.is_open = False
        deadline = time.monotonic() + timeout
        delivered = [processor.close(max(deadline - time.monotonic(), 0)) for processor in self._processors]
        not_at_exit(self._close_everything)
        if self._sigterm_watch is not None:
            self._sigterm_watch.stop()
        return all(delivered)

    def watch_sigterm(self) -> SigtermWatch:
        """Deliver before SIGTERM ends the process, until ``shutdown``; the watch belongs on the tracer provider."""
        self._sigterm_watch = SigtermWatch(
            begin_ending=begin_ending,
            live_on=live_on,
            deliver=self._close_everything,
            timeout_seconds=self._exit_timeout,
        )
        self._sigterm_watch.start()
        return self._sigterm_watch

    def _close_everything(self) -> None:
        end_open_runs(self.tracer_provider)
        close_all(self._exit_timeout)
        self.shutdown(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()


def configure(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: str | None = None,
    headers: Mapping[str, str] | None = None,
    console: bool = False,
    resource_attributes: Mapping[str, AttributeValue] | None = None,
    nested_model_spans: NestedModelSpans = "deduplicate",
    spool: str | os.PathLike[str] | Spool | None = None,
    durability: Durability | None = None,
    max_request_bytes: int = MAX_REQUEST_BYTES,
    started_markers: bool = False,
    exit_timeout: float = 4.0,
    sigterm: bool = True,
) -> Handle:
    """Send spans to an OTLP endpoint, to the terminal, or to both.

    Sets a tracer provider, unless the application has set one: that one is kept and gets our span processor.
    All standard ``OTEL_*`` variables count; arguments win. ``OTEL_TRACES_EXPORTER`` says whether spans go over
    OTLP at all, the endpoint only where to. A second call says so and returns the first handle.

    Args:
        service_name: The name of this service, ``service.name`` of the resource.
        endpoint: Base URL of the collector or backend, such as ``http://localhost:4318``.
        protocol: ``http/protobuf`` (default) or ``grpc``.
        headers: Sent with every request, such as the key of a hosted backend.
        console: Print each trace as a tree; the only output unless an endpoint is named.
        resource_attributes: Further attributes of the resource.
        nested_model_spans: ``deduplicate`` (default) leaves the usage and meaning of a call of a model to the span of
            its run, see ``OneCallSpanProcessor``; ``keep`` leaves the span that the model's SDK makes as it is.
        spool: A file where spans wait that can't be delivered, see ``OtlpSpanProcessor``, or a ``Spool``.
        durability: ``write-ahead`` puts all spans there before they are sent.
        max_request_bytes: The largest request; a span that alone is larger is made shorter.
        started_markers: Whether roots and calls of models are seen as soon as they begin.
        exit_timeout: Seconds that the end of the process may wait for the delivery, of all processors together.
        sigterm: Whether what has ended is delivered before SIGTERM ends the process; False leaves signals alone.

    Raises:
        ValueError: An argument or an environment variable has a value that can't be used.
        RuntimeError: The tracer provider that the application set takes no span processors.

    Example:
        >>> with configure(service_name="shop", console=True):
        ...     chain.invoke({"number": "2"}, config={"callbacks": [OpenTelemetryCallbackHandler()]})
    """
    if nested_model_spans not in (choices := get_args(NestedModelSpans)):
        remedy = " or ".join(map(repr, choices))
        raise ValueError(f"nested_model_spans is {shown(nested_model_spans)}; it must be {remedy}.")
    with _Present.lock:
        present = _Present.handle
        if present is not None and present.is_open:
            _logger.warning(
                "configure() was called again: the first call stays in force and its handle is returned."
                " To change something, call shutdown() on that handle first."
            )
            return present
        wants_otlp = endpoint is not None or spool is not None or endpoint_in_environment()
        exporters = _exporters(console=console, wants_otlp=wants_otlp)
        resolve_target(endpoint=endpoint, protocol=protocol, headers=headers)  # a mistake is an error, used or not
        processors: list[DeliveringSpanProcessor | DirectSpanProcessor] = []
        if "console" in exporters:
            processors.append(DirectSpanProcessor(TreeSpanExporter()))
        if "otlp" in exporters:
            otlp = OtlpSpanProcessor(
                endpoint,
                protocol=protocol,
                headers=headers,
                spool=spool,
                durability=durability,
                max_request_bytes=max_request_bytes,
                started_markers=started_markers,
                shutdown_timeout_seconds=exit_timeout,
            )
            otlp.check()
            processors.append(otlp)
        deduplicates = nested_model_spans == "deduplicate"
        listening = [OneCallSpanProcessor(each) for each in processors] if deduplicates else processors
        provider = _provider(service_name, resource_attributes or {})
        place = _place_on(provider) if processors or provider in by_provider else None
        _Present.handle = Handle(provider, processors, exit_timeout)
        watches = [_Present.handle.watch_sigterm()] if sigterm and processors else []
        if place is not None:
            place.replace([*listening, *watches])
        return _Present.handle


class _Present:
    """The handle of this process."""

    handle: Handle | None = None
    lock = fork_safe_lock()


@runtime_checkable
class _TakesProcessors(Protocol):
    def add_span_processor(self, span_processor: SpanProcessor) -> None: ...


def _exporters(*, console: bool, wants_otlp: bool) -> set[str]:
    """Return which exporters are wanted; OTLP is there by default, but not for who asks for the console alone."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return set()
    chosen = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    names = {name.strip() for name in chosen.split(",")} if chosen else {"otlp"}
    unknown = sorted(names.difference(_EXPORTERS))
    if unknown:
        raise ValueError(f"OTEL_TRACES_EXPORTER has {unknown[0]!r}; it must be a list of {', '.join(_EXPORTERS)}.")
    if console and not chosen and not wants_otlp:
        names.clear()
    if console:
        names.add("console")
    return names - {"none"}


def _provider(service_name: str | None, resource_attributes: Mapping[str, AttributeValue]) -> trace.TracerProvider:
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = _new_provider(service_name, resource_attributes)
    elif service_name is not None or resource_attributes:
        _logger.warning(
            "service_name and resource_attributes have no effect: a tracer provider is already set, and its"
            " resource can't be changed. Give them where that provider is made."
        )
    return provider


def _place_on(provider: trace.TracerProvider) -> ReplaceableSpanProcessor:
    """Return what passes the spans of a provider to the processors that are configured; it is added once."""
    if provider in by_provider:
        return by_provider[provider]
    if not isinstance(provider, _TakesProcessors):
        raise RuntimeError(  # noqa: TRY004  no argument has the wrong type
            f"The tracer provider in place, {type(provider).__qualname__}, has no add_span_processor, so spans"
            " can't be taken from it. Either export with that provider and leave out configure(), or set no"
            " provider and let configure() make one."
        )
    by_provider[provider] = ReplaceableSpanProcessor()
    provider.add_span_processor(by_provider[provider])
    return by_provider[provider]


def _new_provider(service_name: str | None, resource_attributes: Mapping[str, AttributeValue]) -> trace.TracerProvider:
    named = {} if service_name is None else {SERVICE_NAME: service_name}
    provider = TracerProvider(resource=Resource.create({**resource_attributes, **named}))
    trace.set_tracer_provider(provider)
    return provider


def _milliseconds_until(deadline: float) -> int:
    return max(int((deadline - time.monotonic()) * 1000), 0)
