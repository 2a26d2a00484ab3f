"""How each kind of run becomes a span."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from opentelemetry.trace import SpanKind

from runspan import payload
from runspan.payload import Attributes, Kind, Start


class Subject(NamedTuple):
    """What is started by one callback."""

    start: str
    """The callback."""
    describe: Callable[..., Start]
    kind: Kind
    """What is known of the run if nothing can be read from what LangChain says of it."""
    content: Callable[..., Attributes]
    span_kind: SpanKind = SpanKind.CLIENT
    is_chain: bool = False
    is_model: bool = False


CHAIN: Final = Subject(
    "on_chain_start", payload.chain_start, Kind.CHAIN, payload.inputs, SpanKind.INTERNAL, is_chain=True
)
CHAT: Final = Subject("on_chat_model_start", payload.chat_start, Kind.CHAT, payload.input_messages, is_model=True)
COMPLETION: Final = Subject(
    "on_llm_start", payload.completion_start, Kind.COMPLETION, payload.input_prompts, is_model=True
)
TOOL: Final = Subject("on_tool_start", payload.tool_start, Kind.TOOL, payload.tool_arguments, SpanKind.INTERNAL)
RETRIEVER: Final = Subject("on_retriever_start", payload.retriever_start, Kind.RETRIEVER, payload.query)


def serialized(given: object, name: str | None) -> object:
    """Return what LangChain tells of the object that runs; of a runnable it tells None, and handlers read its name."""
    if isinstance(given, dict):
        return given if "name" in given else {**given, "name": name}
    told: dict[str, Any] = {"lc": 1, "type": "not_implemented", "id": [name], "name": name}
    return told
