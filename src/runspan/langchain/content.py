"""What of a run's content is recorded: whether, and how much."""

import functools
import os
from typing import Final

from runspan import semconv
from runspan.payload import Kind
from runspan.payload.writer import Writer
from runspan.runs.budget import SpanBudget, TraceBudget
from runspan.runs.run import Run
from runspan.settings import CaptureChains, Settings

# The chains whose content is recorded wherever they are, unless no content of chains is.
_WITH_CONTENT: Final = (Kind.AGENT, Kind.PROMPT)
# OpenTelemetry's SDK cuts texts in the middle of their JSON; in characters, which are never more than the bytes.
_LENGTH_LIMITS: Final = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT")


def takes_attributes(run: Run) -> bool:
    """Return whether a run has a span of its own that records."""
    return run.owns_span and run.span.is_recording()


def span_writer(run: Run, settings: Settings) -> Writer | None:
    """Return what writes the content of a run; None if none of it is recorded anywhere."""
    if not _wants_content(run, settings):
        return None
    record = run.record
    if record.writer is None:
        record.writer = Writer(
            attribute_bytes=attribute_bytes(settings), budget=_budget(run, settings), redactors=record.redactors
        )
    writer: Writer = record.writer
    return writer


def error_writer(run: Run, settings: Settings) -> Writer | None:
    """Return what writes the text of the error of a run; None if it is not recorded anywhere."""
    if not run.record.captures:
        return None
    budget = _budget(run, settings)
    budget.is_reserved = True
    return Writer(attribute_bytes=attribute_bytes(settings), budget=budget, redactors=run.record.redactors)


def event_writer(run: Run, settings: Settings) -> Writer | None:
    """Return what writes content of a run into events alone; None if they may have none."""
    if "event" not in run.record.captures:
        return None
    return Writer(attribute_bytes=settings.max_attribute_bytes, redactors=run.record.redactors)


def _wants_content(run: Run, settings: Settings) -> bool:
    captures = run.record.captures
    if run.is_chain and ("span" not in captures or not _is_wanted_chain(run, settings.capture_chains)):
        return False  # there is no event of chains
    return "event" in captures or ("span" in captures and takes_attributes(run))


def _is_wanted_chain(run: Run, choice: CaptureChains) -> bool:
    if choice != "root":
        return choice == "all"
    return is_root(run) or run.start_attributes.get(semconv.RUN_TYPE) in _WITH_CONTENT


def is_root(run: Run) -> bool:
    """Return whether no other run around this one has a span."""
    around = run.parent
    while around is not None and not around.owns_span:
        around = around.parent
    return around is None


def _budget(run: Run, settings: Settings) -> SpanBudget:
    if run.record.budget is None:
        trace = run.invocation.budget = run.invocation.budget or TraceBudget(settings.max_trace_bytes)
        run.record.budget = SpanBudget(settings.max_span_bytes, trace, is_root=is_root(run), is_reserved=run.is_model)
    return run.record.budget


def attribute_bytes(settings: Settings) -> int:
    """Return the most that an attribute takes: what is set, or less, if OpenTelemetry's SDK would cut at that."""
    limit = _length_limit(*map(os.environ.get, _LENGTH_LIMITS))
    return settings.max_attribute_bytes if limit is None else min(limit, settings.max_attribute_bytes)


@functools.cache
def _length_limit(*values: str | None) -> int | None:
    """Return the first limit that is given, as the SDK reads it."""
    return next((int(value) for value in values if value and value.strip().isdecimal()), None)
