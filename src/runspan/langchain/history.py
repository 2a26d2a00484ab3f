"""Each message of a conversation on one span: ``Settings(history="new")``.

The span of a model has the messages that no span of its trace had before, and refers to the one that has the rest.
"""

from typing import Any, Final

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from opentelemetry.trace import format_span_id

from runspan import payload, semconv
from runspan.attributes import Attributes
from runspan.payload.writer import Writer
from runspan.runs.message_history import Call, MessageHistory
from runspan.runs.run import Run

# Each is looked at; there is no room for as many on a span.
_MOST_MESSAGES: Final = 2_000


def new_messages(run: Run, messages: list[BaseMessage], write: Writer) -> Attributes:
    """Return what the span of a model gets of the messages that it reads: at least the last one."""
    if len(messages) > _MOST_MESSAGES:
        return payload.input_messages(messages, write)
    history = _history(run)
    hashes = tuple(map(payload.message_hash, messages))
    known, span = history.known(hashes)
    known = max(min(known, len(messages) - 1), 0)
    attributes = payload.input_messages(messages[known:], write)
    if payload.has_all_messages(attributes):  # else nobody could count on it
        history.begin(Call(run.run_id, run.span.get_span_context(), hashes))
    if span is None or not known:
        return attributes
    return {**attributes, semconv.HISTORY_SPAN: format_span_id(span.span_id), semconv.HISTORY_MESSAGES: known}


def note_answer(run: Run, response: Any) -> None:
    """Remember the answer of a model; of several nobody knows which one the conversation goes on with."""
    if isinstance(response, LLMResult) and len(response.generations) == 1 and len(response.generations[0]) == 1:
        (generation,) = response.generations[0]
        if isinstance(generation, ChatGeneration):
            _history(run).answer(run.run_id, payload.message_hash(generation.message))


def forget_messages(run: Run) -> None:
    """Let no other span refer to that of a run, which has lost its messages."""
    _history(run).forget(run.run_id)


def _history(run: Run) -> MessageHistory:
    return run.invocation.message_history if run.invocation is not None else MessageHistory()
