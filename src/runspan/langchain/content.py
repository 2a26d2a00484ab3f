"""What of a run's content is recorded: whether, and how much."""

from typing import Final

from runspan import semconv
from runspan.langchain.bridge import Bridge
from runspan.payload import Kind
from runspan.payload.writer import Writer
from runspan.runs.budget import SpanBudget, TraceBudget
from runspan.runs.run import Run
from runspan.settings import CaptureChains, Settings

# The chains whose content is recorded wherever they are, unless no content of chains is.
_WITH_CONTENT: Final = (Kind.AGENT, Kind.PROMPT)


def takes_attributes(run: Run) -> bool:
    """Return whether a run has a span of its own that records."""
    return run.owns_span and run.span.is_recording()


def span_writer(run: Run, bridge: Bridge) -> Writer | None:
    """Return what writes the content of a run; None if none of it is recorded anywhere."""
    record = run.record
    if record.written_captures is not record.captures:
        record.written_captures = record.captures
        record.writer = _writer(run, bridge) if record.captures and _wants_content(run, bridge.settings) else None
    writer: Writer | None = record.writer
    return writer


def error_writer(run: Run, bridge: Bridge) -> Writer | None:
    """Return what writes the text of the error of a run; None if it is not recorded anywhere."""
    if not run.record.captures:
        return None
    _budget(run, bridge.settings).is_reserved = True
    return _writer(run, bridge)


def event_writer(run: Run, bridge: Bridge) -> Writer | None:
    """Return what writes content of a run into events alone; None if they may have none."""
    if "event" not in run.record.captures:
        return None
    return Writer(attribute_bytes=bridge.settings.max_attribute_bytes, redactors=run.record.redactors)


def _writer(run: Run, bridge: Bridge) -> Writer:
    return Writer(
        attribute_bytes=bridge.attribute_bytes, budget=_budget(run, bridge.settings), redactors=run.record.redactors
    )


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
