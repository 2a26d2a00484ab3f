"""What of a run's content is recorded: whether, and how much."""

from typing import Final

from runspan import semconv
from runspan.langchain.bridge import Bridge
from runspan.payload import Kind
from runspan.payload.writer import Writer
from runspan.runs.budget import TraceBudget
from runspan.runs.run import Run
from runspan.settings import CaptureChains, Settings

# The chains whose content is recorded wherever they are, unless no content of chains is.
_WITH_CONTENT: Final = (Kind.AGENT, Kind.PROMPT)


class RunWriter(Writer):
    """Writes the content of one run within what is left of its budget and of its invocation's.

    Args:
        run: the run.
        bridge: the handler that records it.
    """

    __slots__ = ("_left", "_plenty", "_plenty_for_all", "_trace", "is_reserved", "is_root")

    def __init__(self, run: Run, bridge: Bridge) -> None:
        super().__init__(bridge.attribute_bytes, run.record.redactors)
        self._left = bridge.settings.max_span_bytes
        self._trace = run.trace_budget = run.trace_budget or TraceBudget(bridge.settings.max_trace_bytes)
        self.is_root = is_root(run)
        self.is_reserved = run.is_model
        """Whether it gets some when its invocation has used up what is for all."""
        self._plenty = 2 * self.attribute_bytes
        self._plenty_for_all = self._plenty if self.is_root else self._plenty + self._trace.for_some

    def room(self) -> int:
        """Return how many bytes one attribute may take now: half of what is left at the most."""
        if self._left >= self._plenty and self._trace.left >= self._plenty_for_all:  # as nearly always
            return self.attribute_bytes
        left = self._trace.left
        if not self.is_root:
            left -= self._trace.for_some
            if self.is_reserved:
                left = max(left, self._trace.share())
        return min(self.attribute_bytes, max(min(left, self._left) // 2, 0))

    def take(self, size: int) -> None:
        """Note that so many bytes were written."""
        self._left -= size
        self._trace.left -= size


def takes_attributes(run: Run) -> bool:
    """Return whether a run has a span of its own that records."""
    return run.owns_span and run.span.is_recording()


def span_writer(run: Run, bridge: Bridge) -> RunWriter | None:
    """Return what writes the content of a run; None if none of it is recorded anywhere."""
    record = run.record
    if record.decided_captures is not record.captures:
        record.decided_captures = record.captures
        record.is_content_wanted = bool(record.captures) and _wants_content(run, bridge.settings)
        if record.is_content_wanted:
            _writer(run, bridge)
    writer: RunWriter | None = record.writer
    return writer if record.is_content_wanted else None


def error_writer(run: Run, bridge: Bridge) -> RunWriter | None:
    """Return what writes the text of the error of a run; None if it is not recorded anywhere."""
    if not run.record.captures:
        return None
    writer = _writer(run, bridge)
    writer.is_reserved = True
    return writer


def event_writer(run: Run, bridge: Bridge) -> Writer | None:
    """Return what writes content of a run into events alone; None if they may have none."""
    if "event" not in run.record.captures:
        return None
    return Writer(bridge.settings.max_attribute_bytes, run.record.redactors)


def _writer(run: Run, bridge: Bridge) -> RunWriter:
    """Return what writes anything of a run; it has the redactors of all handlers that joined it meanwhile."""
    record = run.record
    writer: RunWriter = record.writer or RunWriter(run, bridge)
    record.writer, writer.redactors = writer, record.redactors
    return writer


def _wants_content(run: Run, settings: Settings) -> bool:
    captures = run.record.captures
    if not run.is_chain:
        return "event" in captures or takes_attributes(run)
    if "span" not in captures or not _is_wanted_chain(run, settings.capture_chains):  # there is no event of chains
        return False
    return takes_attributes(run)


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
