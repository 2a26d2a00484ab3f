"""How instrumentations differ: each family of them has a dialect."""

from collections.abc import Callable
from typing import Any, NamedTuple

from runspan.payload import Kind
from runspan.payload.message_types import MessageDict
from runspan.rebuild.span_data import Names, SpanData


class AttributeNames(NamedTuple):
    """The names that the attributes of a dialect have."""

    run_name: Names = ()
    chain_name: Names = ()
    tags: Names = ()
    metadata: Names = ()
    """A JSON object."""
    thread_id: Names = ()
    session_id: Names = ()
    user_id: Names = ()
    graph_node: Names = ()
    graph_step: Names = ()

    provider: Names = ()
    request_model: Names = ()
    parameters: Names = ()
    """A JSON object of what else is sent to the model."""
    temperature: Names = ()
    max_tokens: Names = ()
    top_p: Names = ()
    top_k: Names = ()
    frequency_penalty: Names = ()
    presence_penalty: Names = ()
    seed: Names = ()
    choices: Names = ()
    stop: Names = ()
    stream: Names = ()
    tools: Names = ()
    """A JSON list of the tools that the model may call."""

    response_id: Names = ()
    response_model: Names = ()
    finish_reasons: Names = ()
    input_tokens: Names = ()
    output_tokens: Names = ()
    total_tokens: Names = ()
    cache_read: Names = ()
    cache_creation: Names = ()
    reasoning: Names = ()

    tool_name: Names = ()
    tool_description: Names = ()
    tool_call_id: Names = ()

    error_type: Names = ()


def _no_kind(_: SpanData) -> Kind | None:
    return None


def _no_messages(_: SpanData) -> list[MessageDict]:
    return []


def _nothing(_: Kind, __: SpanData) -> None:
    return None


class Dialect(NamedTuple):
    """How one family of instrumentations records what a run is, its inputs and its outputs."""

    names: AttributeNames
    kind: Callable[[SpanData], Kind | None] = _no_kind
    input_messages: Callable[[SpanData], list[MessageDict]] = _no_messages
    """The messages to a model."""
    output_messages: Callable[[SpanData], list[MessageDict]] = _no_messages
    """The messages from it, one for each choice."""
    inputs: Callable[[Kind, SpanData], Any] = _nothing
    """The inputs of a chain, the arguments of a tool, the query of a retriever; None if there are none."""
    outputs: Callable[[Kind, SpanData], Any] = _nothing
    """The outputs of a chain, the result of a tool, the documents of a retriever; None if there are none."""
