"""Ends runs: notifies callback handlers of LangChain's end event, then ends the span with the attributes of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.attributes import Attributes
from runspan.callback_event import Event
from runspan.cost import cost_function
from runspan.langchain import run_ends
from runspan.langchain.bridge import Bridge, notify
from runspan.langchain.content import RunWriter, error_writer, event_writer, span_writer
from runspan.langchain.costs import cost_attributes
from runspan.langchain.history import note_answer
from runspan.langchain.links import finish_links
from runspan.langchain.run_kinds import StartEvent
from runspan.langchain.trace_policy import recorded
from runspan.payload.writer import Writer
from runspan.runs.audience import Recipients
from runspan.runs.run import Run

_NOTHING: Final[Attributes] = {}
_NOBODY: Final = (None, False, None)
_Describe = Callable[[Any, Writer], Attributes]


class RunEnder:
    """Ends the runs of one handler."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._cost_of = cost_function(bridge.settings.cost)

    def end(self, callback: str, result: object, kwargs: dict[str, Any], describe: _Describe) -> None:
        """End the run of an event.

        Args:
            callback: the callback that LangChain called.
            result: its only argument.
            kwargs: its keywords, ``run_id`` among them.
            describe: returns the attributes of the result.

        Raises:
            Exception: what a sync callback handler with ``raise_error`` raised; the run ends all the same.
        """
        if not self._is_part_of_unseen(kwargs):
            end = partial(self._end, describe, result, kwargs, time.time_ns())
            self._notify_and_end(callback, result, kwargs, end)

    def fail(self, callback: str, error: Any, kwargs: dict[str, Any]) -> None:
        """End the run of an event without a result; of a model, ``response`` is what had come until then.

        Args:
            callback: the callback that LangChain called.
            error: its only argument.
            kwargs: its keywords.

        Raises:
            Exception: as ``end`` does.
        """
        if not self._is_part_of_unseen(kwargs):
            self._notify_and_end(callback, error, kwargs, partial(self._fail, error, kwargs, time.time_ns()))

    def end_failed_start(self, start: StartEvent, error: BaseException) -> None:
        """End the run whose start let an exception out: LangChain gives up before it begins, and will not end it."""
        table = self._bridge.table
        run = attempt(table.take, start.run_id, start, default=None)
        if run is not None:
            attempt(self._bridge.reading, self._fail, error, _NOTHING, time.time_ns(), run, default=None)
            table.finish(run, start)

    def describe_abandoned(self, run: Run, at_ns: int) -> Attributes:
        """Return the attributes of a run that LangChain will not end."""
        return self._bridge.reading(self._describe_abandoned, run, at_ns)

    def _describe_abandoned(self, run: Run, at_ns: int) -> Attributes:
        if run.is_unseen:
            return _NOTHING
        write = error_writer(run, self._bridge)
        attributes = run_ends.describe_partial_response(run, write) if run.is_model else _NOTHING
        return self._complete(run, attributes, _NOTHING, at_ns, span_writer(run, self._bridge))

    def _is_part_of_unseen(self, kwargs: dict[str, Any]) -> bool:
        """Return whether an unseen run stood for the run that ends, of which there is nothing else."""
        table = self._bridge.table
        if not table.unseen:
            return False
        return attempt(table.end_part, kwargs.get("run_id"), default=False)

    def _notify_and_end(self, callback: str, value: object, kwargs: dict[str, Any], end: Callable[[Run], None]) -> None:
        """Notify callback handlers of the end of a run and end it, also if an interrupt comes in between."""
        taken, is_taken = None, False
        try:
            try:  # at once: the outer one does not protect the instruction that begins the inner
                taken = attempt(self._take, kwargs.get("run_id"), kwargs, default=_NOBODY)
                run, is_taken, recipients = taken
                # The span ends last: what an exporter prints comes after what handlers print.
                if recipients is not None:
                    transform = run.record.transform_outputs if run is not None else None
                    notify(recipients, Event(callback, (value,), kwargs), transform)
            finally:
                if is_taken and run is not None:
                    attempt(self._bridge.reading, end, run, default=None)
                    if not run.is_ended:
                        run.table.finish(run, kwargs)
        except BaseException as error:
            # It may have been interrupted before it was noted whose end this is.
            run = (
                taken[0] if taken is not None else attempt(self._bridge.table.find, kwargs.get("run_id"), default=None)
            )
            if run is not None:
                run.table.finish(run, kwargs, {semconv.ERROR_TYPE: type(error).__name__})
            raise

    def _take(self, run_id: Any, by: object) -> tuple[Run | None, bool, Recipients | None]:
        """Claim the run of an event to end it; return it, whether that is granted, and who is to be notified."""
        table = self._bridge.table
        run = table.find(run_id)
        if run is not None and table.claim(run, by):
            return run, True, run.audience.recipients
        return run, False, table.take_abandoned(run_id)

    def _end(self, describe: _Describe, result: object, kwargs: Mapping[str, Any], at_ns: int, run: Run) -> None:
        if run.is_unseen:
            run.table.end(run, _NOTHING, None, at_ns)
            return
        bridge, record = self._bridge, run.record
        if record.transform_outputs is not None:
            result = recorded(result, record.transform_outputs)
        write = span_writer(run, bridge)
        attributes = run_ends.describe_result(run, describe, result, write)
        requested_calls: Sequence[str] = ()
        if run.is_model:
            requested_calls = attempt(payload.requested_call_ids, result, default=())
            if bridge.settings.history == "new" and semconv.OUTPUT_MESSAGES in attributes:
                attempt(note_answer, run, result, default=None)
        completed = self._complete(run, attributes, kwargs, at_ns, write, requested_calls=requested_calls)
        is_error = semconv.ERROR_TYPE in completed and bridge.settings.returned_tool_errors == "error_status"
        run.table.end(run, completed, "" if is_error else None, at_ns)

    def _fail(self, error: BaseException, kwargs: Mapping[str, Any], at_ns: int, run: Run) -> None:
        if run.is_unseen:
            run.table.end(run, _NOTHING, None, at_ns)
            return
        bridge, write = self._bridge, span_writer(run, self._bridge)
        attributes, description = run_ends.describe_failure(
            run, error, kwargs.get("response"), error_writer(run, bridge)
        )
        completed = self._complete(run, attributes, kwargs, at_ns, write, error=error)
        run.table.end(run, completed, description, at_ns)

    def _complete(
        self,
        run: Run,
        attributes: Attributes,
        kwargs: Mapping[str, Any],
        at_ns: int,
        write: RunWriter | None,
        *,
        error: BaseException | None = None,
        requested_calls: Sequence[str] = (),
    ) -> Attributes:
        """Add what is known of the runs within, record the end in metrics and events, return what the span gets."""
        completed = dict(attributes)
        if write is not None and run.is_chain and (inputs := kwargs.get("inputs")) is not None:
            # Of one that streamed LangChain gives a placeholder at its start, the truth at its end.
            completed |= attempt(payload.inputs, inputs, write, default=_NOTHING)
        if run.is_model and self._cost_of is not None:
            completed |= attempt(cost_attributes, run, completed, self._cost_of, default=_NOTHING)
        completed |= finish_links(run, requested_calls, completed)
        if semconv.OPERATION in run.start_attributes:
            self._bridge.signals.record_end(run, completed, at_ns, error, event_writer(run, self._bridge))
        if write is not None:
            if run.start_attributes.get(semconv.OPERATION) == "retrieval":
                completed |= attempt(_plain_values, payload.retrieval_values, run, completed, write, default=_NOTHING)
            elif write.is_root:
                completed |= attempt(_plain_values, payload.root_values, run, completed, write, default=_NOTHING)
        return self._bridge.formatted(completed)


def _plain_values(
    read: Callable[[Attributes, Writer], Attributes], run: Run, attributes: Attributes, write: Writer
) -> Attributes:
    """Return what went in and came out as values, where backends read no other names."""
    return read({**run.record.attributes, **attributes}, write)
