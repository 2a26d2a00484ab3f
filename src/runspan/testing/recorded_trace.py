"""A trace as tests ask it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from runspan.testing.counted import counted_spans
from runspan.testing.model_calls import Message, Tokens, messages_in, usage_in
from runspan.testing.recorded_span import RecordedSpan, is_match, trees_of
from runspan.testing.tool_calls import Order, ToolCall, calls_of_tools, failed_expectation
from runspan.testing.tree_text import tree_text


class RecordedTrace:
    """Spans that there are already, such as those of an ``InMemorySpanExporter``, to be asked like a ``Trace``.

    Args:
        spans: spans of one trace or several, in any order.

    Example:
        >>> assert RecordedTrace(exporter.get_finished_spans()).tools() == [("weather", {"city": "Oslo"})]
    """

    def __init__(self, spans: Iterable[ReadableSpan]) -> None:
        self._roots = trees_of(spans)

    @property
    def roots(self) -> list[RecordedSpan]:
        """The spans at the top, those below them as their ``children``."""
        return self._roots

    @property
    def spans(self) -> list[RecordedSpan]:
        """All spans, each before those below it."""
        return [span for root in self.roots for span in (root, *root.descendants())]

    @property
    def tokens(self) -> Tokens:
        """What the models used; a call that has a span of LangChain's and one of the model's SDK counts once."""
        used = [*usage_in(self.roots)]
        return Tokens(sum(each.input for each in used), sum(each.output for each in used))

    def tree(
        self, *, times: bool = False, attributes: Sequence[str] = (), links: bool = False, sort: bool = False
    ) -> str:
        r"""Return the traces as text: a line for each span, indented by two below its parent.

        Behind a name stands ``[error]`` or what else happened: ``[cancelled]``, ``[abandoned]``, ``[interrupted]``,
        ``[handed_off]``, ``[open]``.

        Args:
            times: whether durations are added.
            attributes: the names of attributes that are added, where a span has them.
            links: whether the names of the spans that a span links to are added, as ``-> chat gpt-5``.
            sort: whether spans with the same parent are sorted by their lines, as some start at the same time.

        Example:
            >>> assert trace.tree() == "invoke_agent\n  model\n    chat gpt-5"
        """
        return tree_text(self.roots, times=times, attributes=attributes, links=links, sort=sort)

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
