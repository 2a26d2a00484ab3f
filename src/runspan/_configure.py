"""One call for people who have no OpenTelemetry set up; nothing here is needed by those who have."""

import logging
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias, get_args
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.util.types import AttributeValue

from runspan._environment import is_sdk_disabled
from runspan._forking import fork_safe_lock
from runspan._handle import ConfiguredProcessor, Handle
from runspan._span_processors import processor_on
from runspan.arguments import check_bool, check_number, shown
from runspan.export.delivery import MAX_REQUEST_BYTES
from runspan.export.otlp.target import (
    OtlpProtocol,
    OtlpTarget,
    endpoint_in_environment,
    exporters_in_environment,
    resolve_target,
)
from runspan.export.processor import OtlpSpanProcessor
from runspan.export.spool import Durability, Spool
from runspan.listeners.router import TakesProcessors
from runspan.processors.backend import Backend, BackendSpanProcessor, checked_backend
from runspan.processors.console import DirectSpanProcessor, TreeSpanExporter
from runspan.processors.file import MAX_FILE_BYTES, FileSpanExporter
from runspan.processors.one_call import OneCallSpanProcessor
from runspan.processors.replaceable import ReplaceableSpanProcessor, by_provider
from runspan.runs.tracing import runs_begun
from runspan.settings import Settings

NestedModelSpans: TypeAlias = Literal["deduplicate", "keep"]

_logger = logging.getLogger("runspan")
_AUTO_INSTRUMENTATION = "opentelemetry.instrumentation.auto_instrumentation"
# Names a file that counts instead of the SDK's other variables; how such a file refers to variables.
_CONFIGURATION = "OTEL_CONFIG_FILE"
_VARIABLE = re.compile(r"\$\{(?:env:)?(\w+)(?::-([^}]*))?\}")
_DEFAULT_RECEIVERS = ("localhost:4318", "localhost:4317")
_EXPORTERS = ("otlp", "console", "none")
_CALLED_AGAIN = (
    "configure() was called again: the first call stays in force and its handle is returned."
    " To change something, call shutdown() on that handle first."
)


def configure(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: OtlpProtocol | None = None,
    headers: Mapping[str, str] | None = None,
    console: bool | Literal["live"] = False,
    file: str | os.PathLike[str] | None = None,
    max_file_bytes: int = MAX_FILE_BYTES,
    resource_attributes: Mapping[str, AttributeValue] | None = None,
    nested_model_spans: NestedModelSpans = "deduplicate",
    backend: Backend | None = None,
    spool: str | os.PathLike[str] | Spool | None = None,
    durability: Durability | None = None,
    max_request_bytes: int = MAX_REQUEST_BYTES,
    started_markers: bool = False,
    exit_timeout: float = 4.0,
    sigterm: bool = True,
) -> Handle:
    """Send spans to an OTLP endpoint, to the terminal, to a file, or to several of them.

    Sets a tracer provider, unless the application has set one: that one is kept and gets our span processor.
    All standard ``OTEL_*`` variables count; arguments win. ``OTEL_TRACES_EXPORTER`` says whether spans go over
    OTLP at all, the endpoint only where to. A second call says so and returns the first handle. Where
    ``opentelemetry-instrument`` sends to the same endpoint already, it sends nothing a second time, and says so.

    Args:
        service_name: the name of this service, ``service.name`` of the resource.
        endpoint: base URL of the collector or backend, such as ``http://localhost:4318``.
        protocol: ``http/protobuf`` (default) or ``grpc``.
        headers: sent with every request, such as the key of a hosted backend.
        console: whether each trace is printed as a tree, with its link if ``RUNSPAN_TRACE_URL`` is set; the only output
            unless an endpoint is named. ``live`` shows in a terminal what is open, too; it needs the extra ``cli``.
        file: where each span is written as a line of OTLP's JSON, for ``runspan view`` and ``replay()``; likewise.
        max_file_bytes: the most that the file takes, together with ``PATH.1``, which it becomes when it is half full.
        resource_attributes: further attributes of the resource.
        nested_model_spans: ``deduplicate`` (default) leaves the usage and meaning of a call of a model to the span of
            its run, see ``OneCallSpanProcessor``; ``keep`` leaves the span that the model's SDK makes as it is.
        backend: what receives the spans: ``jaeger``, ``langfuse``, ``mlflow`` or ``phoenix`` get the names that they
            read, see ``BackendSpanProcessor``; None (default) writes all.
        spool: a folder where spans wait that can't be delivered, see ``OtlpSpanProcessor``, or a ``Spool``.
        durability: ``write-ahead`` puts all spans there before they are sent.
        max_request_bytes: the largest request, in bytes; a single larger span is shortened.
        started_markers: whether roots and model calls can be seen as soon as they begin.
        exit_timeout: seconds that the end of the process may wait for the delivery, of all processors together.
        sigterm: whether what has ended is delivered before SIGTERM ends the process; False leaves signals alone.

    Returns:
        The handle of what was set up: to flush it, shut it down and count its spans.

    Raises:
        ValueError: if an argument or an environment variable has a value that can't be used.
        TypeError: if an argument is of another type.
        RuntimeError: if the tracer provider that the application set takes no span processors.

    Example:
        >>> with configure(service_name="shop", console=True):
        ...     chain.invoke({"number": "2"}, config={"callbacks": [OpenTelemetryCallbackHandler()]})
    """
    _check_nested_model_spans(nested_model_spans)
    _check_console(console)
    if backend is not None:
        checked_backend(backend)
    for name, switch in (("started_markers", started_markers), ("sigterm", sigterm)):
        check_bool(name, switch)
    check_number("exit_timeout", exit_timeout, least=0)
    _check_resource(service_name, resource_attributes)
    with _Present.lock:
        if _Present.handle is not None and _Present.handle.is_open:
            _logger.warning(_CALLED_AGAIN)
            return _Present.handle
        target = resolve_target(endpoint=endpoint, protocol=protocol, headers=headers)  # a mistake is an error
        make_otlp = partial(
            OtlpSpanProcessor,
            endpoint,
            protocol=protocol,
            headers=headers,
            spool=spool,
            durability=durability,
            max_request_bytes=max_request_bytes,
            started_markers=started_markers,
            shutdown_timeout_seconds=exit_timeout,
        )
        exporters = _exporters(
            target,
            console=bool(console),
            is_local=bool(console) or file is not None,
            names_receiver=endpoint is not None or spool is not None,
        )
        processors = _processors(exporters, make_otlp, is_live=console == "live")
        processors += _file_processors(file, max_file_bytes)
        _Present.before = _before(service_name, resource_attributes)
        provider = _provider(service_name, resource_attributes or {})
        slot = _slot_on(provider) if processors or provider in by_provider else None
        handle = _Present.handle = Handle(provider, processors, exit_timeout)
        if slot is not None:
            named = [BackendSpanProcessor(each, backend) for each in processors] if backend else processors
            slot.replace(_listening(handle, named, nested_model_spans, sigterm=sigterm))
        return handle


def configured_handle() -> Handle | None:
    """Return the handle of the last call of ``configure``; None if there was none."""
    return _Present.handle


@dataclass(frozen=True, slots=True)
class Before:
    """What was there before ``configure`` was called.

    Args:
        has_provider: whether the application had set a tracer provider.
        runs: how many runs had begun with it.
        ignores_resource: whether the resource that ``configure`` was given has no effect, as a provider was there.
    """

    has_provider: bool = False
    runs: int = 0
    ignores_resource: bool = False


def before_configure() -> Before:
    """Return what was there when ``configure`` was called last."""
    return _Present.before


class _Present:
    """The handle of this process."""

    handle: Handle | None = None
    before = Before()
    lock = fork_safe_lock()


def _check_nested_model_spans(value: str) -> None:
    allowed = get_args(NestedModelSpans)
    if value not in allowed:
        raise ValueError(f"nested_model_spans is {shown(value)}; it must be {' or '.join(map(repr, allowed))}.")


def _check_console(value: object) -> None:
    if not isinstance(value, bool) and not (isinstance(value, str) and value == "live"):
        error = ValueError if isinstance(value, str) else TypeError
        raise error(f"console is {shown(value)}; it must be True, False or 'live'.")


def _check_resource(service_name: object, attributes: object) -> None:
    if service_name is not None and not isinstance(service_name, str):
        raise TypeError(f"service_name is {shown(service_name)}; it must be a text.")
    if attributes is not None and not isinstance(attributes, Mapping):
        raise TypeError(f"resource_attributes is {shown(attributes)}; it must be a dictionary.")


def _processors(
    exporters: set[str], make_otlp: Callable[[], OtlpSpanProcessor], *, is_live: bool
) -> list[ConfiguredProcessor]:
    processors: list[ConfiguredProcessor] = []
    if "console" in exporters and is_live:
        from runspan.processors.live_console import live_console  # noqa: PLC0415  only who asks for it has rich

        processors.append(live_console(Settings().trace_url))
    elif "console" in exporters:
        processors.append(DirectSpanProcessor(TreeSpanExporter(trace_url=Settings().trace_url)))
    if "otlp" in exporters:
        otlp = make_otlp()
        otlp.check()
        processors.append(otlp)
    return processors


def _file_processors(file: str | os.PathLike[str] | None, max_bytes: int) -> list[ConfiguredProcessor]:
    return [] if file is None or is_sdk_disabled() else [DirectSpanProcessor(FileSpanExporter(file, max_bytes))]


def _is_sent_to_already(target: OtlpTarget) -> bool:
    """Return whether ``opentelemetry-instrument`` has set up an exporter to the same endpoint, and say so."""
    if _AUTO_INSTRUMENTATION not in sys.modules or not isinstance(trace.get_tracer_provider(), TracerProvider):
        return False
    file = os.environ.get(_CONFIGURATION)
    if file:
        is_sent_to, remedy = _names_endpoint(file, target), f"take the exporter out of {file}"
    else:
        is_sent_to = "otlp" in exporters_in_environment() and resolve_target().endpoint == target.endpoint
        remedy = "set OTEL_TRACES_EXPORTER=none"
    if is_sent_to:
        _logger.warning(
            "opentelemetry-instrument sends spans to %s already, so configure() does not: they would arrive twice. To"
            " have them sent by runspan, %s and add runspan.OtlpSpanProcessor() to the provider:"
            " opentelemetry.trace.get_tracer_provider().add_span_processor(runspan.OtlpSpanProcessor()).",
            target.destination,
            remedy,
        )
    return is_sent_to


def _names_endpoint(file: str, target: OtlpTarget) -> bool:
    """Return whether a configuration file of OpenTelemetry's SDK sends to an endpoint: one that it names, or none."""
    try:
        text = Path(file).read_text()
    except (OSError, UnicodeDecodeError):
        return False  # the SDK can't read it either
    text = _VARIABLE.sub(lambda found: os.environ.get(found[1]) or found[2] or "", text)
    receiver = urlsplit(target.endpoint).netloc
    return receiver in text or ("otlp" in text and "endpoint" not in text and receiver in _DEFAULT_RECEIVERS)


def _listening(
    handle: Handle, processors: Sequence[SpanProcessor], nested_model_spans: NestedModelSpans, *, sigterm: bool
) -> Sequence[SpanProcessor]:
    watches = [handle.watch_sigterm()] if sigterm and processors else []
    if nested_model_spans == "keep":
        return [*processors, *watches]
    return [*map(OneCallSpanProcessor, processors), *watches]


def _exporters(target: OtlpTarget, *, console: bool, is_local: bool, names_receiver: bool) -> set[str]:
    """Return which exporters are wanted; OTLP is there by default, but not for who asks for console or file alone."""
    if is_sdk_disabled():
        return set()
    chosen = exporters_in_environment()
    names = chosen or {"otlp"}
    unknown = sorted(names.difference(_EXPORTERS))
    if unknown:
        raise ValueError(f"OTEL_TRACES_EXPORTER has {unknown[0]!r}; it must be a list of {', '.join(_EXPORTERS)}.")
    if is_local and not chosen and not names_receiver and not endpoint_in_environment():
        names = set()
    if console:
        names = names | {"console"}
    if "otlp" in names and _is_sent_to_already(target):
        names = names - {"otlp"}
    return names - {"none"}


def _before(service_name: str | None, resource_attributes: Mapping[str, AttributeValue] | None) -> Before:
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return Before()
    ignores_resource = not _has_attributes(provider, _named(service_name, resource_attributes or {}))
    if provider in by_provider:  # this is not the first call
        return replace(_Present.before, ignores_resource=ignores_resource)
    return Before(True, runs_begun(provider), ignores_resource)


def _provider(service_name: str | None, resource_attributes: Mapping[str, AttributeValue]) -> trace.TracerProvider:
    wanted = _named(service_name, resource_attributes)
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        provider = TracerProvider(resource=Resource.create(wanted))
        trace.set_tracer_provider(provider)
    elif not _has_attributes(provider, wanted):
        _logger.warning(
            "service_name and resource_attributes have no effect: a tracer provider is already set, and its"
            " resource can't be changed. Give them where that provider is made."
        )
    return provider


def _named(service_name: str | None, resource_attributes: Mapping[str, AttributeValue]) -> Mapping[str, AttributeValue]:
    return resource_attributes if service_name is None else {**resource_attributes, SERVICE_NAME: service_name}


def _has_attributes(provider: trace.TracerProvider, wanted: Mapping[str, AttributeValue]) -> bool:
    """Return whether a resource has these attributes, as that of a provider does which an earlier call has set."""
    has = provider.resource.attributes if isinstance(provider, TracerProvider) else {}
    return all(has.get(name) == value for name, value in Resource(wanted).attributes.items())


def _slot_on(provider: trace.TracerProvider) -> ReplaceableSpanProcessor:
    """Return what passes the spans of a provider to the processors that are configured; it is added once."""
    if not isinstance(provider, TakesProcessors):
        raise RuntimeError(  # noqa: TRY004  no argument has the wrong type
            f"The tracer provider in place, {type(provider).__qualname__}, has no add_span_processor, so spans"
            " can't be taken from it. Either export with that provider and leave out configure(), or set no"
            " provider and let configure() make one."
        )
    return processor_on(provider, by_provider, ReplaceableSpanProcessor)
