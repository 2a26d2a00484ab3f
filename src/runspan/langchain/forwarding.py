"""Forwards what happens in the midst of a run to callback handlers, after noting what its span needs of it."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from runspan._guard import attempt
from runspan.callback_event import Event
from runspan.langchain.bridge import Bridge, notify
from runspan.langchain.content import event_writer
from runspan.langchain.langgraph import receives_graph_events
from runspan.listeners.dispatch import hears_chunks
from runspan.runs.audience import Recipients
from runspan.runs.record import Stream
from runspan.runs.run import Run


class EventForwarder:
    """Forwards the events of the runs that one handler speaks for, so that callback handlers get each once."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    def forward(self, event: Event) -> None:
        """Forward an event of LangChain's, which metrics and events of the run may need, too.

        Raises:
            Exception: what a sync callback handler with ``raise_error`` raised.
        """
        _notify(attempt(self._note, event, default=None), event)

    def note_chunk(self, name: str, run_id: Any, chunk: object) -> Recipients | None:
        """Keep what a model streamed, in case the stream is left early; return who is to hear of it, None if nobody.

        A stream has many: what is not needed for each, such as an event that nobody gets, is not made.

        Args:
            name: the name of the callback.
            run_id: the model's run.
            chunk: what came.
        """
        table = self._bridge.table
        # An id of another type may run foreign code as it is looked for.
        run = table.open.get(run_id.int) if type(run_id) is UUID else attempt(table.find, run_id, default=None)
        if run is None:
            return attempt(self._recipients, run_id, default=None) if table.abandoned else None
        audience = run.audience
        if audience.speaker is not self._bridge:
            return None
        if (stream := run.stream) is None:
            run.stream = Stream(chunk, is_timed=attempt(_have_metrics, audience.handlers, default=True))
        elif not run.is_unseen:
            stream.add(chunk)
        recipients = audience.recipients
        if recipients is None or not attempt(hears_chunks, recipients.callbacks, name, default=True):
            return None
        return recipients

    def forward_graph_event(self, name: str, event: Any, note: Callable[[Run, Any], None]) -> None:
        """Note that a graph was interrupted or resumed, and notify callback handlers of LangGraph's kind.

        Raises:
            Exception: as ``forward`` does.
        """
        recipients = attempt(self._note_graph_event, name, event, note, default=None)
        if recipients is not None:
            callbacks = tuple(filter(receives_graph_events, recipients.callbacks))
            _notify(recipients._replace(callbacks=callbacks), Event(name, (event,), {}))

    def _note(self, event: Event) -> Recipients | None:
        run_id = event.kwargs.get("run_id")
        if (run := self._run(run_id)) is not None:
            self._bridge.reading(self._emit, run, event.name, event.args)
        return self._recipients(run_id)

    def _note_graph_event(self, name: str, event: Any, note: Callable[[Run, Any], None]) -> Recipients | None:
        run = self._run(event.run_id)
        if run is None:
            return None
        note(run, event)
        self._bridge.reading(self._emit, run, name, (event,))
        return run.audience.recipients

    def _emit(self, run: Run, name: str, args: tuple[Any, ...]) -> None:
        self._bridge.signals.emit_event(run, name, args, event_writer(run, self._bridge))

    def _run(self, run_id: UUID | None) -> Run | None:
        """Return an open run that this handler speaks for."""
        run = self._bridge.table.find(run_id)
        return run if run is not None and run.audience.speaker is self._bridge else None

    def _recipients(self, run_id: UUID | None) -> Recipients | None:
        """Return who listens to a run that this handler speaks for, also to one that was abandoned."""
        recipients = self._bridge.table.recipients(run_id)
        return recipients if recipients is not None and recipients.speaker is self._bridge else None


def _have_metrics(handlers: Iterable[Any]) -> bool:
    """Return whether a handler records metrics; nothing else needs to know when each chunk came."""
    return any(each.signals.metrics is not None for each in handlers)


def _notify(recipients: Recipients | None, event: Event) -> None:
    if recipients is not None:
        notify(recipients, event)
