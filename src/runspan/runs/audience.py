"""Who handles a run, and who listens to it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple
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

    It is never changed: a run has that of the one around it, unless there is more to it.

    Args:
        handlers: those that LangChain called with the start of the run; the first speaks for it.
        scope: who listens.
        outbox: where events for async handlers go; one for all runs of an invocation, None in sync runs.
    """

    __slots__ = ("handlers", "outbox", "recipients", "scope", "speaker")

    def __init__(
        self, handlers: tuple[object, ...] = (), scope: Scope = NOBODY, outbox: "EventSink | None" = None
    ) -> None:
        self.handlers = handlers
        self.scope = scope
        self.outbox = outbox
        self.speaker = handlers[0] if handlers else None
        """The handler that speaks for the run, None if it has none."""
        self.recipients = Recipients(scope.callbacks, outbox, self.speaker) if scope.callbacks else None
        """Who gets the run's events, None if nobody listens."""

    def within(self, handlers: tuple[object, ...]) -> "Audience":
        """Return that of a run within this one, which these handlers start."""
        return self if self.handlers is handlers else Audience(handlers, self.scope, self.outbox)

    def with_handler(self, handler: object) -> "Audience":
        """Return it with a handler that joins."""
        return Audience((*self.without(handler).handlers, handler), self.scope, self.outbox)

    def without(self, handler: object) -> "Audience":
        """Return it without a handler, whose listeners stay."""
        return Audience(tuple(each for each in self.handlers if each is not handler), self.scope, self.outbox)

    def with_listeners(self, scope: Scope) -> "Audience":
        """Return it with listeners."""
        joined = self.scope.joined(scope)
        return self if joined is self.scope else Audience(self.handlers, joined, self.outbox)

    def with_outbox(self, make: "Callable[[], EventSink | None]") -> "Audience":
        """Return it with an outbox, which is made if there is none."""
        return self if self.outbox is not None else Audience(self.handlers, self.scope, make())


EMPTY: Final = Audience()


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
