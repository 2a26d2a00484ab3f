"""What is recorded of a run beside what its span was started with: its stream, and what its span gets at the end."""

import time
from collections.abc import Callable
from typing import Any, Final

from runspan.attributes import Attributes, without_content
from runspan.content_switch import Destination
from runspan.settings import Redactor

_NOTHING: Final[Attributes] = {}
_DescribeAbandoned = Callable[[Any, int], Attributes]


class Stream:
    """What a model streamed so far.

    Args:
        chunk: the first, which comes now.
        is_timed: whether it is noted when each chunk comes.
    """

    __slots__ = ("chunk_ns", "chunks", "first_chunk_ns")

    def __init__(self, chunk: object, *, is_timed: bool) -> None:
        self.first_chunk_ns = time.time_ns()
        self.chunk_ns = [self.first_chunk_ns] if is_timed else None
        self.chunks = [chunk]

    def add(self, chunk: object) -> None:
        """Add a chunk that comes now."""
        self.chunks.append(chunk)
        if self.chunk_ns is not None:
            self.chunk_ns.append(time.time_ns())

    def seconds_since(self, started_ns: int) -> list[float]:
        """Return how long after a moment each chunk came; the first alone if they are not timed."""
        return [(each - started_ns) / 1e9 for each in self.chunk_ns or [self.first_chunk_ns]]

    def clear(self) -> None:
        """Let go of the chunks, but for when the first came."""
        self.chunks, self.chunk_ns = [], None


class Record:
    """What a span gets when its run ends; each time an SDK span is given some costs as much as a few of them.

    Args:
        captures, redactors, describe_abandoned, transform_outputs, is_content_decided: as the handler that starts the
            run has it; see the attributes.
    """

    __slots__ = (
        "attributes",
        "captures",
        "decided_captures",
        "describe_abandoned",
        "is_content_decided",
        "is_content_wanted",
        "redactors",
        "transform_outputs",
        "writer",
    )

    attributes: Attributes
    captures: frozenset[Destination]
    """Where content may go: all handlers of the run that decide about it have to allow it."""
    is_content_decided: bool
    """Whether there is one that does."""
    is_content_wanted: bool
    """Whether any of its content is recorded, as far as that was asked for: see ``decided_captures``."""
    describe_abandoned: _DescribeAbandoned | None
    """Returns the last attributes of the run, should it be abandoned, given the run and the time of that."""
    redactors: tuple[Redactor, ...]
    """Those of all handlers of the run; they get content before it is recorded."""
    writer: Any
    """What writes its content, or the text of its error, within a budget; None until something is written."""
    decided_captures: frozenset[Destination] | None
    """The ``captures`` by which it was found whether content is wanted; None if that has to be found."""
    transform_outputs: Callable[[Any], Any] | None
    """Returns the outputs as they are to be recorded, where LangGraph has a policy for that."""

    def __init__(
        self,
        captures: frozenset[Destination] = frozenset(),
        redactors: tuple[Redactor, ...] = (),
        describe_abandoned: _DescribeAbandoned | None = None,
        transform_outputs: Callable[[Any], Any] | None = None,
        *,
        is_content_decided: bool = False,
    ) -> None:
        self.captures, self.redactors = captures, redactors
        self.describe_abandoned, self.transform_outputs = describe_abandoned, transform_outputs
        self.is_content_decided = is_content_decided
        self.attributes = _NOTHING
        self.is_content_wanted, self.writer, self.decided_captures = False, None, None

    def add(self, attributes: Attributes) -> None:
        """Add attributes, which replace earlier ones of the same names."""
        self.attributes = {**self.attributes, **attributes} if self.attributes else attributes

    def allowed(self, attributes: Attributes, destination: Destination) -> Attributes:
        """Return those of attributes that may go there."""
        return attributes if destination in self.captures else without_content(attributes)

    def clear(self) -> None:
        """Let go of everything."""
        self.attributes, self.writer, self.redactors = _NOTHING, None, ()
        self.describe_abandoned = self.transform_outputs = None
