"""How each kind of run becomes a span."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from opentelemetry.trace import SpanKind

from runspan import payload
from runspan.attributes import Attributes
from runspan.payload import Kind, Start


class RunKind(NamedTuple):
    """One kind of run: the callback that starts it, and how its span is made."""

    callback: str
    """The callback that starts one."""
    describe_start: Callable[..., Start]
    run_type: Kind
    """What is known of the run if nothing can be read from its start event."""
    describe_input: Callable[..., Attributes]
    span_kind: SpanKind = SpanKind.CLIENT
    is_chain: bool = False
    is_model: bool = False


CHAIN: Final = RunKind(
    "on_chain_start", payload.chain_start, Kind.CHAIN, payload.inputs, SpanKind.INTERNAL, is_chain=True
)
CHAT: Final = RunKind("on_chat_model_start", payload.chat_start, Kind.CHAT, payload.input_messages, is_model=True)
COMPLETION: Final = RunKind(
    "on_llm_start", payload.completion_start, Kind.COMPLETION, payload.input_prompts, is_model=True
)
TOOL: Final = RunKind("on_tool_start", payload.tool_start, Kind.TOOL, payload.tool_arguments, SpanKind.INTERNAL)
RETRIEVER: Final = RunKind("on_retriever_start", payload.retriever_start, Kind.RETRIEVER, payload.query)


def with_name(serialized: object, name: str | None) -> object:
    """Return LangChain's description of the object that runs, with a name, which handlers read; a runnable has none."""
    if isinstance(serialized, dict):
        return serialized if "name" in serialized else {**serialized, "name": name}
    unknown: dict[str, Any] = {"lc": 1, "type": "not_implemented", "id": [name], "name": name}
    return unknown
