"""Evaluations: how a user, a test or another model judges what a run did, perhaps long after it."""

import functools
import logging
import math
from collections.abc import Mapping
from numbers import Real
from typing import Final, NamedTuple, Protocol, runtime_checkable
from uuid import UUID

from opentelemetry import context as otel
from opentelemetry import trace as traces
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, TracerProvider

from runspan import semconv
from runspan._guard import attempt
from runspan._version import __version__
from runspan.arguments import check_bool, check_provider, checked_run_id, shown
from runspan.attributes import PlainAttributes
from runspan.payload import clean
from runspan.runs.traceparent import read_traceparent
from runspan.runs.tracing import spans_of
from runspan.semconv import event_names
from runspan.signals.events import RunEvents

_REMEDY: Final = (
    "give the traceparent that handler.traceparent_for(run_id) returns, a span, or the id of a run of this process"
)


@runtime_checkable
class HasSpanContext(Protocol):
    """A span that is open, or has ended; the SDK's, or another one."""

    def get_span_context(self) -> SpanContext | None:
        """Return its ids."""


class HasSpanIds(Protocol):
    """A span of OTLP in protobuf, as a recording has it."""

    trace_id: bytes
    span_id: bytes


def record_evaluation(
    trace: str | UUID | HasSpanContext | SpanContext | HasSpanIds | Mapping[str, object],
    name: str,
    *,
    value: float | None = None,
    label: str | None = None,
    explanation: str | None = None,
    response_id: str | None = None,
    as_span: bool = False,
    tracer_provider: TracerProvider | None = None,
    logger_provider: object | None = None,
) -> None:
    """Record how someone judges what a span did: the event ``gen_ai.evaluation.result`` below that span.

    The event is a log record in the trace context of the span, in this process or another one, at any time. With
    ``as_span`` there is a span, too, for backends that take no logs: below the judged one, with a link to it. Within
    ``runspan.invocation`` its listeners hear that span, so it reaches the backend of a tenant.

    What is given is recorded as it is, whatever ``Settings.capture_content`` says.

    Args:
        trace: what is judged: a ``traceparent``, as ``handler.traceparent_for`` returns it; a span, or its
            ``SpanContext``; a span of a recording, of OTLP in protobuf or JSON; or the id of one of the last few
            thousand runs of this process, a UUID or its str.
        name: the name of the metric, such as ``relevance`` or ``thumbs``.
        value: the score, a finite number; True is 1.0.
        label: the score as a word, such as ``pass``.
        explanation: why; it may quote the answer.
        response_id: the provider's id of the answer that is judged.
        as_span: whether a span is made as well, if the judged one was sampled.
        tracer_provider: where that span starts; if None where the run has its span, else the global provider.
        logger_provider: where the event goes; the global provider if None.

    Raises:
        ValueError: if ``trace`` is a str of another kind; if the value is not finite; if there is neither a value, a
            label nor an explanation.
        LookupError: if this process does not remember the run.
        TypeError: if an argument is of another type; it names the argument and the value.

    Example:
        ``runspan.record_evaluation(traceparent, "thumbs", value=1, explanation="just what I asked for")``
    """
    check_provider("tracer_provider", tracer_provider, "get_tracer", "TracerProvider")
    events = RunEvents(logger_provider)
    check_bool("as_span", as_span)
    attributes = _attributes(name, value, label, explanation, response_id)
    for judged in _judged(trace):
        if not judged.span.is_valid:
            continue  # nothing was recorded of the run: no tracer provider was set
        if not as_span and not events.are_taken:
            _log_no_provider()
        events.evaluation(NonRecordingSpan(judged.span), attributes)
        if as_span:
            provider = tracer_provider or judged.provider or traces.get_tracer_provider()
            attempt(_make_span, provider, judged.span, name, attributes, default=None)


class _Judged(NamedTuple):
    """A span, and the provider that made it if that is known."""

    span: SpanContext
    provider: TracerProvider | None = None


def _judged(trace: object) -> list[_Judged]:
    """Return the span that is meant; of a run that several providers trace there are several."""
    if isinstance(trace, SpanContext):
        return [_Judged(trace)]
    if isinstance(trace, HasSpanContext) and isinstance(span := trace.get_span_context(), SpanContext):
        return [_Judged(span)]
    header = _header(trace)
    if header is not None and (recorded := read_traceparent(header)) is not None:
        return [_Judged(recorded)]
    return _judged_run(trace)


def _header(trace: object) -> str | None:
    """Return a traceparent, also that of a span of OTLP; None of anything else."""
    if isinstance(trace, Mapping):
        return f"00-{trace.get('traceId')}-{trace.get('spanId')}-01".lower()
    # Asked for one by one: isinstance() does not see the fields of a message of protobuf, from Python 3.12 on.
    trace_id, span_id = getattr(trace, "trace_id", None), getattr(trace, "span_id", None)
    if isinstance(trace_id, bytes) and isinstance(span_id, bytes):
        return f"00-{trace_id.hex()}-{span_id.hex()}-01"
    return trace if isinstance(trace, str) else None


def _judged_run(run_id: object) -> list[_Judged]:
    try:
        known = checked_run_id(run_id)
    except (TypeError, ValueError) as error:
        raise type(error)(f"trace is {shown(run_id)}; {_REMEDY}.") from None
    found = [_Judged(span, provider) for provider, span in spans_of(known)]
    if not found:
        raise LookupError(
            f"trace is {shown(run_id)}, a run that this process does not remember. While it does, keep what"
            " handler.traceparent_for(run_id) returns, and give that."
        )
    return found


def _attributes(
    name: object, value: object, label: object, explanation: object, response_id: object
) -> PlainAttributes:
    if not name or not isinstance(name, str):
        raise (ValueError if name == "" else TypeError)(
            f"name is {shown(name)}; it must be the name of a metric, such as relevance."
        )
    if value is None and label is None and explanation is None:
        raise ValueError(f"The evaluation {shown(name)} says nothing; give a value, a label or an explanation.")
    attributes: PlainAttributes = {event_names.EVALUATION_NAME: clean(name)}
    if value is not None:
        attributes[event_names.EVALUATION_VALUE] = _score(value)
    texts = (
        ("label", event_names.EVALUATION_LABEL, label),
        ("explanation", event_names.EVALUATION_EXPLANATION, explanation),
        ("response_id", semconv.RESPONSE_ID, response_id),
    )
    return attributes | {key: _text(argument, text) for argument, key, text in texts if text is not None}


def _text(argument: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{argument} is {shown(value)}; it must be a str.")
    return clean(value)


def _score(value: object) -> float:
    if not isinstance(value, Real):
        raise TypeError(f"value is {shown(value)}; it must be a number.")
    try:
        score = float(value)
    except OverflowError:  # an integer of hundreds of digits
        score = math.inf
    if not math.isfinite(score):
        raise ValueError(f"value is {shown(value)}; it must be a finite number.")
    return score


def _make_span(provider: TracerProvider, judged: SpanContext, name: str, attributes: PlainAttributes) -> None:
    # The context of the caller, but for the parent: listeners of a block hear what starts in it.
    context = traces.set_span_in_context(NonRecordingSpan(judged), otel.get_current())
    tracer = provider.get_tracer("runspan", __version__)
    link = Link(judged, {semconv.LINK_TYPE: "evaluates"})
    tracer.start_span(f"evaluation {clean(name)}", context, attributes=attributes, links=[link]).end()


@functools.cache
def _log_no_provider() -> None:
    logging.getLogger("runspan").warning(
        "record_evaluation() emits a log record, but no OpenTelemetry logger provider is set, so it goes nowhere. Set"
        " one with opentelemetry._logs.set_logger_provider(), or record a span: record_evaluation(..., as_span=True)."
    )
