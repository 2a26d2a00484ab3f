"""The trace of a test."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Self

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook
from opentelemetry.trace import TracerProvider

from runspan._environment import is_sdk_disabled
from runspan.langchain.block import Block
from runspan.langchain.handler import OpenTelemetryCallbackHandler
from runspan.runs.tracing import end_finished_runs
from runspan.settings import Settings
from runspan.testing.counted import counted_spans
from runspan.testing.model_calls import Message, Tokens, messages_in, usage_in
from runspan.testing.recorded_span import RecordedSpan, is_match, trees_of
from runspan.testing.recorder import Recorder
from runspan.testing.tool_calls import Order, ToolCall, calls_of_tools, failed_expectation
from runspan.testing.tree_text import tree_text

if TYPE_CHECKING:
    from types import FrameType

_SETTLING_SECONDS: Final = 10.0

# LangChain adds the handler that it holds to each run that starts in the context.
_handler_here: ContextVar[BaseCallbackHandler | None] = ContextVar("runspan_testing", default=None)
register_configure_hook(_handler_here, inheritable=True)

_frame_at = sys._getframe  # noqa: SLF001  a documented function of CPython


class Trace:
    """Record what starts within a block, and nothing else: other tests may run at the same time in other threads.

    LangChain and LangGraph are traced there without a handler being passed. Of other libraries, and of your own code,
    the spans of the global tracer provider are recorded; where none is set they make none, and handlers of the
    application that have no provider count for nothing. Threads that don't copy the context are outside: pass
    ``trace.config`` there.

    Args:
        tracer_provider: where spans start; the global provider, or one of runspan's own if there is none.
        settings: what to record; by default content is.

    Attributes:
        handler: what records: for code that wants a handler.

    Raises:
        RuntimeError: if ``OTEL_SDK_DISABLED`` is true, as then no span is made.

    Example:
        >>> with Trace() as trace:
        ...     agent.invoke({"messages": ["Weather in Oslo?"]})
        >>> assert trace.tools() == [("weather", {"city": "Oslo"})]
    """

    def __init__(self, *, tracer_provider: TracerProvider | None = None, settings: Settings | None = None) -> None:
        if is_sdk_disabled():
            raise RuntimeError(
                "OTEL_SDK_DISABLED is true, so no span is made and nothing can be recorded. Unset it for tests that"
                " look at their trace; without an exporter nothing is sent."
            )
        self._recorder = Recorder()
        self.handler = OpenTelemetryCallbackHandler(
            span_processors=[self._recorder],
            tracer_provider=tracer_provider,
            settings=settings or Settings(capture_content="span"),
        )
        self._blocks: list[tuple[Block, BaseCallbackHandler | None, FrameType]] = []

    def __enter__(self) -> Self:
        # A frame that does not yield, and is kept: so the block is everywhere until its end, whoever calls.
        block, frame = Block(), _frame_at(0)
        self._blocks.append((block, _handler_here.get(), frame))
        block.open(self.handler, frame)
        _handler_here.set(self.handler)
        return self

    def __exit__(self, *_: object) -> None:
        block, before, _frame = self._blocks.pop()
        _handler_here.set(before)
        block.close()

    @property
    def config(self) -> dict[str, list[BaseCallbackHandler]]:
        """A config with the handler, for what is called in a thread that does not copy the context."""
        return {"callbacks": [self.handler]}

    @property
    def roots(self) -> list[RecordedSpan]:
        """The spans at the top, those below them as their ``children``; spans may be open yet."""
        end_finished_runs(_SETTLING_SECONDS)
        return trees_of(self._recorder.spans())

    @property
    def spans(self) -> list[RecordedSpan]:
        """All spans, each before those below it."""
        return list(_walk(self.roots))

    @property
    def tokens(self) -> Tokens:
        """What the models used; a call that has a span of LangChain's and one of the model's SDK counts once."""
        used = [*usage_in(self.roots)]
        return Tokens(sum(each.input for each in used), sum(each.output for each in used))

    def tree(self, *, times: bool = False, attributes: Sequence[str] = (), sort: bool = False) -> str:
        r"""Return the traces as text: a line for each span, indented by two below its parent.

        Behind a name stands ``[error]`` or what else happened: ``[cancelled]``, ``[abandoned]``, ``[interrupted]``,
        ``[handed_off]``, ``[open]``.

        Args:
            times: whether durations are added.
            attributes: the names of attributes that are added, where a span has them.
            sort: whether spans with the same parent are sorted by their lines, as some start at the same time.

        Example:
            >>> assert trace.tree() == "invoke_agent\n  model\n    chat gpt-5"
        """
        return tree_text(self.roots, times=times, attributes=attributes, sort=sort)

    def tools(self) -> list[ToolCall]:
        """Return the name and arguments of each tool that was called, in the order of their start.

        Arguments are None where content is not recorded.
        """
        return calls_of_tools(self.spans)

    def assert_tools(self, expected: Iterable[str | ToolCall], *, order: Order = "strict") -> None:
        """Fail if other tools were called than expected.

        Args:
            expected: names with arguments, or names alone for any arguments.
            order: ``strict``: these and in this order; ``unordered``: these in any order; ``subset``: no others than
                these; ``superset``: these and perhaps others. A call counts as often as it is there.

        Raises:
            AssertionError: says what is missing, what is too much, and has the tree.
            ValueError: if there is no such order.

        Example:
            >>> trace.assert_tools(["weather", ("book", {"city": "Oslo"})], order="superset")
        """
        __tracebackhide__ = True
        failure = failed_expectation(self.tools(), expected, order)
        if failure is not None:
            raise AssertionError(f"{failure}\n{self.tree()}")

    def find(
        self, name: str = "*", *, has: str | Mapping[str, object] = "", within: str | RecordedSpan | None = None
    ) -> list[RecordedSpan]:
        """Return the spans that are meant, each before those below it.

        Args:
            name: their name, or a pattern such as ``chat*``.
            has: the name of an attribute, or attributes with their values; JSON is compared as what it says.
            within: a span above them, or its name or pattern.
        """
        return [span for span in self.spans if is_match(span, name, has, within)]

    def first(
        self, name: str = "*", *, has: str | Mapping[str, object] = "", within: str | RecordedSpan | None = None
    ) -> RecordedSpan:
        """Return the first of the spans that ``find`` finds.

        Args:
            name: as for ``find``.
            has: likewise.
            within: likewise.

        Raises:
            AssertionError: if there is none; it has the tree.

        Example:
            >>> chat = trace.first("chat*", within="invoke_agent*")
            >>> assert chat.attributes["gen_ai.request.model"] == "gpt-5"
        """
        __tracebackhide__ = True
        found = self.find(name, has=has, within=within)
        if not found:
            wanted = {"name": name, "has": has, "within": within}
            text = ", ".join(f"{key}={value!r}" for key, value in wanted.items() if value)
            raise AssertionError(f"There is no span with {text} in:\n{self.tree()}")
        return found[0]

    def messages(self) -> list[Message]:
        """Return what the models read and wrote, in order; what a later call reads again is there once."""
        return messages_in(self.roots)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return all spans as plain data for a snapshot, with counted ids and a clock that ticks at each event.

        The first trace and span have the id 1; the first start is at 1, what comes next at 2. Attributes that differ
        from run to run are left out: ids and durations. All else is as it was recorded.
        """
        return counted_spans(self.spans)


def _walk(spans: Iterable[RecordedSpan]) -> Iterator[RecordedSpan]:
    for span in spans:
        yield span
        yield from span.descendants()
