"""What is known when a run starts: its kind, the name of its span, the attributes that samplers may look at."""

import enum
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from runspan import semconv
from runspan.payload.content import Attributes
from runspan.payload.providers import provider
from runspan.payload.request import request, service_tier
from runspan.payload.stored import stored_items
from runspan.payload.text import describe, text_at, text_in

_Serialized = Mapping[str, Any] | None
_Metadata = Mapping[str, Any] | None
_Parameters = Mapping[str, Any] | None


class Kind(enum.StrEnum):
    """Kind of run; the value is ``langchain.run.type``."""

    CHAIN = "chain"
    AGENT = "agent"
    GRAPH = "graph"
    PROMPT = "prompt"
    PARSER = "parser"
    CHAT = "chat_model"
    COMPLETION = "llm"
    TOOL = "tool"
    RETRIEVER = "retriever"


class Start(NamedTuple):
    """The beginning of a span."""

    kind: Kind
    name: str
    attributes: Attributes


_OPERATIONS: Final = {
    Kind.CHAT: "chat",
    Kind.COMPLETION: "text_completion",
    Kind.TOOL: "execute_tool",
    Kind.RETRIEVER: "retrieval",
}


def unknown_start(kind: Kind) -> Start:
    """Start a run of which nothing can be read but its kind."""
    if kind in _OPERATIONS:
        return _start(kind, None, _attributes(kind, None))
    return Start(kind, str(kind), {semconv.RUN_TYPE: str(kind)})


def chat_start(
    serialized: _Serialized,
    run_name: str | None,
    metadata: _Metadata,
    invocation_params: _Parameters,
    options: _Parameters = None,
) -> Start:
    """Start a call of a chat model."""
    return _model_start(Kind.CHAT, serialized, run_name, metadata, invocation_params, options)


def completion_start(
    serialized: _Serialized,
    run_name: str | None,
    metadata: _Metadata,
    invocation_params: _Parameters,
    options: _Parameters = None,
) -> Start:
    """Start a call of a completion model."""
    return _model_start(Kind.COMPLETION, serialized, run_name, metadata, invocation_params, options)


def tool_start(serialized: _Serialized, run_name: str | None, tool_call_id: str | None) -> Start:
    """Start a call of a tool."""
    name = serialized_name(serialized) or text_in(run_name) or "tool"
    given_name = text_in(run_name)
    attributes = _attributes(Kind.TOOL, given_name if given_name != name else None)
    attributes[semconv.TOOL_NAME] = name
    attributes[semconv.TOOL_TYPE] = "function"
    if description := text_at(serialized, "description"):
        attributes[semconv.TOOL_DESCRIPTION] = description
    if call_id := text_in(tool_call_id):
        attributes[semconv.TOOL_CALL_ID] = call_id
    return _start(Kind.TOOL, name, attributes)


def retriever_start(serialized: _Serialized, run_name: str | None, metadata: _Metadata) -> Start:  # noqa: ARG001  no source of data is known from it yet
    """Start a search of a retriever."""
    attributes = _attributes(Kind.RETRIEVER, text_in(run_name) or serialized_name(serialized))
    return _start(Kind.RETRIEVER, None, attributes)


def _model_start(  # noqa: PLR0917  what LangChain tells, one by one
    kind: Kind,
    serialized: _Serialized,
    run_name: str | None,
    metadata: _Metadata,
    invocation_params: _Parameters,
    options: _Parameters,
) -> Start:
    attributes = _attributes(kind, text_in(run_name) or serialized_name(serialized))
    attributes.update(request(invocation_params, metadata, options))
    if name := provider(metadata, serialized, invocation_params):
        attributes[semconv.PROVIDER] = name
        if name == "openai" and (tier := service_tier(invocation_params)):
            attributes[semconv.OPENAI_SERVICE_TIER] = tier
    model = text_at(invocation_params, "model", "model_name", "model_id") or text_at(metadata, "ls_model_name")
    if model:
        attributes[semconv.REQUEST_MODEL] = model
    return _start(kind, model, attributes)


def _start(kind: Kind, target: str | None, attributes: Attributes) -> Start:
    operation = _OPERATIONS[kind]
    return Start(kind, f"{operation} {target}" if target else operation, attributes)


def _attributes(kind: Kind, name: str | None) -> Attributes:
    attributes: Attributes = {semconv.OPERATION: _OPERATIONS[kind], semconv.RUN_TYPE: str(kind)}
    if name:
        attributes[semconv.RUN_NAME] = name
    return attributes


def serialized_name(serialized: _Serialized) -> str | None:
    """Return the name of what runs, else of its class (the last of ``id``, a path of module names)."""
    if name := text_at(serialized, "name"):
        return name
    path = stored_items(serialized.get("id")) if isinstance(serialized, dict) else None
    return describe(path[-1]) if path else None
