"""What the runs of an invocation have to do with each other: who asked for a tool, what failed."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from opentelemetry.trace import Link, Span, SpanContext

from runspan import semconv
from runspan.attributes import Attributes
from runspan.runs.execution import ExecutionSite
from runspan.runs.message_history import MessageHistory

_MOST_REMEMBERED: Final = 1000
_MOST_SPANS: Final = 2000  # two for each call of a tool
_ASKED_BY: Final = "asked_by"
_READS: Final = "reads"


class Usage(NamedTuple):
    """The tokens of a model's call, and what they cost."""

    input_tokens: int
    output_tokens: int
    cost: float | None = None
    """None if it is unknown."""
    currency: str | None = None


class Failed(NamedTuple):
    """A run that failed, as its parent remembers it."""

    span: SpanContext
    site: ExecutionSite
    attempt_key: object
    model: object
    """The model that was asked, None if it is none."""
    fallback: int
    """The number of the fallback that it was."""


class Prompt(NamedTuple):
    """A prompt that ran in a chain."""

    attributes: Attributes
    """Its name and version, as far as they are known."""
    variables: Attributes
    """What was put into it."""


class AgentUsage:
    """What was done within an agent or a graph; lists, since its runs work in many threads."""

    __slots__ = ("model_calls", "tool_calls", "usages")

    def __init__(self) -> None:
        self.usages: list[Usage] = []
        """Of all models within."""
        self.model_calls: list[None] = []
        """One for each call of its own, not those of agents within."""
        self.tool_calls: list[None] = []

    @property
    def calls(self) -> tuple[int, int]:
        """How many models and tools it called itself."""
        return len(self.model_calls), len(self.tool_calls)

    def total(self) -> Usage | None:
        """Return tokens and cost of all models within, None if none reported any tokens."""
        if not self.usages:
            return None
        costs = [each.cost for each in self.usages if each.cost is not None]
        currencies = {each.currency for each in self.usages}
        # A sum without some of the costs, or of several currencies, would be wrong.
        is_known = len(costs) == len(self.usages) and len(currencies) == 1
        return Usage(
            sum(each.input_tokens for each in self.usages),
            sum(each.output_tokens for each in self.usages),
            *((math.fsum(costs), currencies.pop()) if is_known else ()),
        )


class ToolCallLinks:
    """The calls of tools in an invocation, by their ids: which span asked for them, which worked on them."""

    __slots__ = ("_spans",)

    def __init__(self) -> None:
        self._spans: dict[tuple[str, str], SpanContext] = {}
        """By the kind of link that leads to them, and the id of the call."""

    def note_asked(self, call_ids: Iterable[str], span: Span) -> None:
        """Remember the span of a model that asked for tools."""
        for call_id in call_ids:
            self._remember(_ASKED_BY, call_id, span)

    def note_worked(self, call_id: str, span: Span) -> None:
        """Remember the span of a tool that works on a call."""
        self._remember(_READS, call_id, span)

    def links_of_tool(self, call_id: str) -> Sequence[Link]:
        """Return the link of a tool to the model that asked for it."""
        return self._links([call_id], _ASKED_BY)

    def links_of_model(self, call_ids: Iterable[str]) -> Sequence[Link]:
        """Return the links of a model to the tools whose results it reads."""
        return self._links(call_ids, _READS)

    def _links(self, call_ids: Iterable[str], kind: str) -> Sequence[Link]:
        found = (self._spans.get((kind, call_id)) for call_id in call_ids)
        return [Link(span, {semconv.LINK_TYPE: kind}) for span in found if span is not None]

    def _remember(self, kind: str, call_id: str, span: Span) -> None:
        self._spans[kind, call_id] = span.get_span_context()
        if len(self._spans) > _MOST_SPANS:
            self._spans.pop(next(iter(self._spans.copy())), None)


class Invocation:
    """What all runs of an invocation share."""

    __slots__ = ("message_history", "tool_call_links")

    def __init__(self) -> None:
        self.tool_call_links = ToolCallLinks()
        self.message_history = MessageHistory()
        """What models have read and answered."""


class Relations:
    """What a run has to do with others of its invocation."""

    __slots__ = ("agent_usage", "attempt_key", "failed", "fallback", "prompt")

    def __init__(self, agent_usage: AgentUsage | None = None, fallback: int = 0) -> None:
        self.agent_usage = agent_usage
        """What is done within it, if it is an agent or a graph."""
        self.fallback = fallback
        """The number of the fallback that it is, 0 if it is none."""
        self.attempt_key: object = None
        """What attempts at the same have in common, and no others within its parent; None if that is unknown."""
        self.failed: deque[Failed] | None = None
        """The runs directly within it that failed, the last of them."""
        self.prompt: Prompt | None = None
        """The last prompt that ran directly within it."""

    def add_failed(self, failed: Failed) -> None:
        """Remember a run directly within this one that failed."""
        if self.failed is None:
            self.failed = deque(maxlen=_MOST_REMEMBERED)
        self.failed.append(failed)

    def past(self) -> "Relations":
        """Return what is kept of it once the run is over: what is done later within it still counts."""
        if self.agent_usage is None and not self.fallback:
            return NO_RELATIONS
        return Relations(self.agent_usage, self.fallback)


NO_RELATIONS: Final = Relations()
"""That of most runs; it is never changed."""
