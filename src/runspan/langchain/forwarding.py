"""Forwards what happens in the midst of a run to callback handlers, after noting what its span needs of it."""

import time
from collections.abc import Callable
from typing import Any
from uuid import UUID

from runspan._guard import attempt
from runspan.callback_event import Event
from runspan.langchain.bridge import Bridge, notify
from runspan.langchain.langgraph import receives_graph_events
from runspan.runs.run import Audience, Run


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

    def forward_chunk(self, event: Event, chunk: object = None) -> None:
        """Forward that a model streamed something; the chunk is kept in case the stream is left early.

        Raises:
            Exception: as ``forward`` does.
        """
        _notify(attempt(self._note_chunk, event, chunk, default=None), event)

    def forward_graph_event(self, name: str, event: Any, note: Callable[[Run, Any], None]) -> None:
        """Note that a graph was interrupted or resumed, and notify callback handlers of LangGraph's kind.

        Raises:
            Exception: as ``forward`` does.
        """
        audience = attempt(self._note_graph_event, name, event, note, default=None)
        if audience is not None:
            callbacks = tuple(filter(receives_graph_events, audience.callbacks))
            _notify(audience._replace(callbacks=callbacks), Event(name, (event,), {}))

    def _note(self, event: Event) -> Audience | None:
        run_id = event.kwargs.get("run_id")
        if (run := self._run(run_id)) is not None:
            self._bridge.signals.emit_event(run, event.name, event.args)
        return self._audience(run_id)

    def _note_chunk(self, event: Event, chunk: object) -> Audience | None:
        run_id = event.kwargs.get("run_id")
        if (run := self._run(run_id)) is not None:
            at_ns = time.time_ns()
            run.first_chunk_ns = run.first_chunk_ns or at_ns
            run.chunks.append(chunk)
            run.chunk_ns.append(at_ns)
        return self._audience(run_id)

    def _note_graph_event(self, name: str, event: Any, note: Callable[[Run, Any], None]) -> Audience | None:
        run = self._run(event.run_id)
        if run is None:
            return None
        note(run, event)
        self._bridge.signals.emit_event(run, name, (event,))
        return run.audience()

    def _run(self, run_id: UUID | None) -> Run | None:
        """Return an open run that this handler speaks for."""
        run = self._bridge.table.find(run_id)
        return run if run is not None and run.handlers and run.handlers[0] is self._bridge else None

    def _audience(self, run_id: UUID | None) -> Audience | None:
        """Return who listens to a run that this handler speaks for, also to one that was abandoned."""
        audience = self._bridge.table.audience(run_id)
        return audience if audience is not None and audience.speaker is self._bridge else None


def _notify(audience: Audience | None, event: Event) -> None:
    if audience is not None:
        notify(audience, event)
