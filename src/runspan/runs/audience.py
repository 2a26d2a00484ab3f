"""Who handles a run, and who listens to it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple
from weakref import ref

from runspan.runs.scope import NOBODY, Scope

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler

    from runspan.runs.interfaces import EventSink


class Recipients(NamedTuple):
    """Who gets an event of a run, and by what way."""

    callbacks: "tuple[BaseCallbackHandler, ...]"
    outbox: "EventSink | None"
    speaker: object
    """The handler that speaks for the run, so that several do not notify the same."""
    had_outbox: bool = False
    """Whether there was an outbox that is gone."""


class Audience:
    """The handlers of a run, and the listeners that they and the runs around it brought.

    Args:
        handlers: those that started it.
        around: that of the run around it, whose listeners hear it, too.
    """

    __slots__ = ("handlers", "outbox", "scope")

    handlers: tuple[object, ...]
    """Those that LangChain called with the start of the run; the first speaks for it."""
    outbox: "EventSink | None"
    """Where events for async handlers go; one for all runs of an invocation, None in sync runs."""
    scope: Scope

    def __init__(self, handlers: tuple[object, ...], around: "Audience | None") -> None:
        self.handlers = handlers
        self.scope, self.outbox = (around.scope, around.outbox) if around is not None else (NOBODY, None)

    @property
    def speaker(self) -> object:
        """The handler that speaks for the run, None if it has none."""
        return self.handlers[0] if self.handlers else None

    def recipients(self) -> Recipients | None:
        """Return who gets the run's events, None if nobody listens."""
        if not self.scope.callbacks:
            return None
        return Recipients(self.scope.callbacks, self.outbox, self.speaker)

    def join(self, handler: object, scope: Scope) -> Scope:
        """Add a handler and its listeners; return those of them that did not listen before."""
        self.leave(handler)
        self.handlers += (handler,)
        new = scope.without(self.scope)
        self.listen(new)
        return new

    def listen(self, scope: Scope) -> None:
        """Add listeners."""
        self.scope = self.scope.joined(scope)

    def leave(self, handler: object) -> None:
        """Leave out a handler; its listeners stay."""
        if self.handlers:
            self.handlers = tuple(each for each in self.handlers if each is not handler)

    def ensure_outbox(self, make: "Callable[[], EventSink | None]") -> None:
        """Have an outbox made if there is none."""
        if self.outbox is None:
            self.outbox = make()

    def clear(self) -> None:
        """Let go of everybody."""
        self.handlers, self.outbox, self.scope = (), None, NOBODY


class PastRecipients:
    """Who got the events of a run that was abandoned, for the case that LangChain reports its end later.

    Whoever can still report it holds the handlers, so this does not.

    Args:
        recipients: who they were.
        on_gone: called when one of them is gone, and with it whoever could report the end.
    """

    __slots__ = ("_callbacks", "_outbox", "_speaker")

    def __init__(self, recipients: Recipients, on_gone: Callable[[object], object]) -> None:
        self._callbacks = [ref(each, on_gone) for each in recipients.callbacks]
        self._outbox = ref(recipients.outbox) if recipients.outbox is not None else None
        self._speaker = ref(recipients.speaker) if recipients.speaker is not None else None

    def recall(self) -> Recipients:
        """Return those of them that are still there."""
        callbacks = tuple(each for reference in self._callbacks if (each := reference()) is not None)
        outbox = self._outbox() if self._outbox is not None else None
        speaker = self._speaker() if self._speaker is not None else None
        return Recipients(callbacks, outbox, speaker, had_outbox=self._outbox is not None)
