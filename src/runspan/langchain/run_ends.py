"""The attributes of a span when its run ends: the answer, the failure, the stream so far."""

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any, Final

from langchain_core.outputs import ChatGenerationChunk, GenerationChunk, LLMResult

from runspan import payload, semconv
from runspan._guard import attempt
from runspan.attributes import Attributes
from runspan.payload import Failure, Kind
from runspan.payload.inputs_outputs import returned_tool_error
from runspan.payload.response import came_before_failure, said_last
from runspan.payload.usage import repeated_usage
from runspan.payload.writer import Writer
from runspan.runs.execution import GENERATOR
from runspan.runs.run import Run

_NOTHING: Final[Attributes] = {}
_WITH_STATE: Final = (Kind.AGENT, Kind.GRAPH)
_UNKNOWN_FAILURE: Final = Failure("error", "_OTHER")


def describe_result(
    run: Run, describe: Callable[[Any, Writer], Attributes], value: object, write: Writer | None
) -> Attributes:
    """Return the attributes of a run's result; ``describe`` reads its content, if that is to be written."""
    if run.is_model:
        return with_stream(run, _answer(run, value, write))
    attributes = _NOTHING
    if write is not None:
        has_state = run.start_attributes.get(semconv.RUN_TYPE) in _WITH_STATE
        attributes = attempt(payload.state_outputs if has_state else describe, value, write, default=_NOTHING)
    if run.is_chain:
        is_left = run.site.style is GENERATOR and run.site.was_left()
        return {**attributes, semconv.RUN_OUTCOME: "abandoned"} if is_left else attributes
    if not _is_tool(run):
        return attributes
    transfer = attempt(payload.transfer, value, default=_NOTHING)
    kind = attempt(returned_tool_error, value, default=None)
    return {**attributes, **transfer, semconv.ERROR_TYPE: kind} if kind else {**attributes, **transfer}


def describe_failure(
    run: Run, error: BaseException, response: object, write: Writer | None
) -> tuple[Attributes, str | None]:
    """Return the attributes of what a run raised, and the description of its status; None if it is no error.

    Args:
        run: the run that raised.
        error: what it raised.
        response: what a model had answered by then, an ``LLMResult``, or None.
        write: writes its content; None if there is to be none.
    """
    described = attempt(payload.failure, error, default=_UNKNOWN_FAILURE)
    # LangChain leaves out the chunk that it was giving when its stream was left.
    so_far = _partial(run, _streamed(run) or response, write)
    if described.outcome != "error":
        handoff = _handoff(run, error) if described.outcome == "handed_off" else _NOTHING
        return {**so_far, semconv.RUN_OUTCOME: described.outcome, **handoff}, None
    return {**so_far, semconv.ERROR_TYPE: described.error_type}, _message(run, error, write)


def _message(run: Run, error: BaseException, write: Writer | None) -> str:
    if write is None or "span" not in run.record.captures:
        return ""
    return str(write.message(payload.error_message(error)).get(semconv.EXCEPTION_MESSAGE, ""))


def describe_partial_response(run: Run, write: Writer | None) -> Attributes:
    """Return the attributes of what a model had answered when its run was abandoned."""
    return _partial(run, _streamed(run), write)


def _partial(run: Run, response: object, write: Writer | None) -> Attributes:
    """Return the attributes of what came of a response; there is no message where nothing was answered."""
    if response is None:
        return with_stream(run, _NOTHING)
    answer = _read(run, response)
    answered = attempt(came_before_failure, response, default=None) if write is not None else None
    reasons: Any = answer.get(semconv.FINISH_REASONS, ()) if run.stream is not None else ()
    describe = partial(payload.output_messages, reasons=reasons, is_whole=False)
    messages = attempt(describe, answered, write, default=_NOTHING) if answered is not None else _NOTHING
    return with_stream(run, {**answer, **messages})


def _streamed(run: Run) -> LLMResult | None:
    """Return the chunks that a model streamed so far as one answer, None if there are none."""
    streamed = run.stream.chunks if run.stream is not None else ()
    chunks = [chunk for chunk in streamed if isinstance(chunk, ChatGenerationChunk | GenerationChunk)]
    whole = attempt(reduce, operator.add, chunks, default=None) if chunks else None
    return LLMResult(generations=[[whole]]) if whole is not None else None


def with_stream(run: Run, attributes: Attributes) -> Attributes:
    """Add what is known of a stream, if there was one."""
    if run.stream is None:
        return attributes
    has_usage = semconv.INPUT_TOKENS in attributes
    repeated = attempt(repeated_usage, run.stream.chunks, default=_NOTHING) if has_usage else _NOTHING
    return {
        **attributes,
        **repeated,
        semconv.REQUEST_STREAM: True,
        semconv.TIME_TO_FIRST_CHUNK: (run.stream.first_chunk_ns - run.started_ns) / 1e9,
        semconv.CHUNKS: len(run.stream.chunks),
    }


def _handoff(run: Run, error: BaseException) -> Attributes:
    transfer = attempt(payload.transfer, error.args, default=_NOTHING) if _is_tool(run) else _NOTHING
    return {**attempt(payload.handoff, error, default=_NOTHING), **transfer}


def _is_tool(run: Run) -> bool:
    return run.start_attributes.get(semconv.OPERATION) == "execute_tool"


def _is_azure_completion(run: Run) -> bool:
    start = run.start_attributes
    return start.get(semconv.PROVIDER) == "azure.ai.openai" and start.get(semconv.RUN_TYPE) == Kind.COMPLETION


def _answer(run: Run, response: object, write: Writer | None) -> Attributes:
    answer = _read(run, response)
    if write is not None:
        reasons = answer.get(semconv.FINISH_REASONS, ())
        answer = {**answer, **attempt(payload.output_messages, response, write, reasons, default=_NOTHING)}
    if semconv.RESPONSE_MODEL in answer and _is_azure_completion(run):
        # Not the model that served, but a default of LangChain's class.
        return {name: each for name, each in answer.items() if name != semconv.RESPONSE_MODEL}
    return answer


def _read(run: Run, response: object) -> Attributes:
    """Return what a response says apart from its messages, each word once that a stream said twice at its end."""
    answer = attempt(payload.response_attributes, response, default=_NOTHING)
    if run.stream is None or semconv.FINISH_REASONS not in answer:
        return answer
    said = attempt(said_last, run.stream.chunks, answer[semconv.FINISH_REASONS], default=_NOTHING)
    return {**answer, **said} if said else answer
