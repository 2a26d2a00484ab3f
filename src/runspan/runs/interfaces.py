"""What runs need of those who listen to them: runs know them by these interfaces alone."""

from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.trace import SpanContext

from runspan.runs.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from uuid import UUID

    from langchain_core.callbacks import BaseCallbackHandler


class RunStart(Protocol):
    """What is known of a run where its start is announced."""

    run_id: "UUID"
    parent_run_id: "UUID | None"
    """The run that LangChain names as its parent."""
    starter: "FrameType"
    """The frame that starts it."""
    manager: object | None
    """The callback manager that announces it, None without one."""

    @property
    def kind(self) -> "RunKind":
        """What kind of run it is."""


class RunKind(Protocol):
    """What kind of run one is."""

    @property
    def is_chain(self) -> bool:
        """Whether LangChain reports the end of the run however it ends."""

    @property
    def is_model(self) -> bool:
        """Whether it is a call of a model."""


class EventSink(Protocol):
    """Where the events for async handlers of an invocation wait until its loop gets to them."""

    def put(self, callbacks: "Sequence[BaseCallbackHandler]", event: Any) -> None:
        """Have handlers notified of an event, after those that were put before."""


class SpanRouter(Protocol):
    """What leads the spans of a tracer provider to the listeners in whose scope they start."""

    def join(self, run: Any, new: Scope) -> None:
        """Notify further processors of the span of an open run, and of its end."""

    def scope_of(self, span: SpanContext | None) -> Scope:
        """Return in whose scope a live span started."""
