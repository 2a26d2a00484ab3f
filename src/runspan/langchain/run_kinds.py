"""The kinds of runs: the event that starts one, and how it becomes a span."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind

from runspan import payload
from runspan._guard import attempt
from runspan.attributes import Attributes
from runspan.langchain.trace_policy import Transform, recorded
from runspan.payload import Kind, Start
from runspan.payload.constructed import constructor_arguments
from runspan.payload.stored import stored_items
from runspan.payload.writer import Writer
from runspan.runs.starting_frame import start_frame, starting_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType
    from uuid import UUID

    from runspan.runs.invocation_state import Prompt


@dataclass(frozen=True, slots=True)
class RunKind:
    """How the runs that one callback starts become spans."""

    callback: str
    run_type: Kind
    """What is known of a run if nothing can be read from its event."""
    describe_start: "Callable[[StartEvent], Start]"
    describe_content: "Callable[[StartEvent, Writer], Attributes]"
    span_kind: SpanKind = SpanKind.CLIENT
    is_chain: bool = False
    is_model: bool = False


class StartEvent:
    """One call of an ``on_*_start``: which run starts, of what kind, and what it is given.

    Args:
        kind: the kind of the run.
        caller: the frame that called the handler.
        serialized: LangChain's description of the object that runs; None for a runnable.
        content: what the run is given: messages, prompts, a query or a chain's inputs; a tool's arguments as text.
        keywords: the other arguments, as LangChain gave them, for callback handlers.
    """

    graph: object = None
    """The compiled graph that starts, if it is one."""
    prompt: "Prompt | None" = None
    """The prompt that a model is asked by, once that was looked for."""
    transform_inputs: Transform | None = None
    """How a chain's inputs are to be recorded; None as they are."""
    transform_outputs: Transform | None = None

    def __init__(
        self, kind: RunKind, caller: "FrameType", serialized: Any, content: Any, keywords: dict[str, Any]
    ) -> None:
        self.kind = kind
        self.caller = caller
        self.starter, manager = start_frame(caller)
        self.manager = None if manager is None else manager.f_locals.get("self")
        self.serialized = serialized
        self.content = content
        self.keywords = keywords
        get: Callable[[str], Any] = keywords.get
        self.run_id: UUID = get("run_id")
        self.parent_run_id: UUID | None = get("parent_run_id")
        self.name: str | None = get("name")
        self.metadata: Mapping[str, Any] | None = get("metadata")
        tags = get("tags")
        self.tags: list[Any] | None = tags if type(tags) is list else stored_items(tags)

    @property
    def run_type(self) -> str | None:
        """LangChain's word for prompts and parsers."""
        return self.keywords.get("run_type")

    @property
    def tool_call_id(self) -> str | None:
        """The id of the call that a tool works on."""
        call_id = self.keywords.get("tool_call_id")
        return call_id if isinstance(call_id, str) else None

    @property
    def invocation_params(self) -> dict[str, Any] | None:
        """A model's parameters."""
        return self.keywords.get("invocation_params")

    @property
    def options(self) -> dict[str, Any] | None:
        """The options of a model's call."""
        return self.keywords.get("options")

    @property
    def arguments(self) -> dict[str, Any] | None:
        """A tool's arguments, where LangChain knows them apart."""
        return self.keywords.get("inputs")

    def described_object(self) -> object:
        """Return ``serialized`` with a name, which callback handlers read."""
        if isinstance(self.serialized, dict):
            return self.serialized if "name" in self.serialized else {**self.serialized, "name": self.name}
        return {"lc": 1, "type": "not_implemented", "id": [self.name], "name": self.name}


def _chain_start(event: StartEvent) -> Start:
    return payload.chain_start(
        serialized=event.serialized, run_name=event.name, run_type=event.run_type, graph=event.graph
    )


def _model_start(event: StartEvent) -> Start:
    constructed = attempt(constructor_arguments, event.serialized, lambda: starting_object(event.starter), default={})
    return payload.model_start(
        event.kind.run_type,
        serialized=event.serialized,
        run_name=event.name,
        metadata=event.metadata,
        invocation_params=event.invocation_params,
        options=event.options,
        constructed=constructed,
    )


def _tool_start(event: StartEvent) -> Start:
    return payload.tool_start(serialized=event.serialized, run_name=event.name, tool_call_id=event.tool_call_id)


def _retriever_start(event: StartEvent) -> Start:
    return payload.retriever_start(serialized=event.serialized, run_name=event.name, metadata=event.metadata)


def _inputs(event: StartEvent, write: Writer) -> Attributes:
    if event.graph is not None:
        return payload.state_inputs(event.content, write)
    return payload.inputs(recorded(event.content, event.transform_inputs), write)


def _messages(event: StartEvent, write: Writer) -> Attributes:
    (messages,) = event.content
    return payload.input_messages(messages, write)


def _prompts(event: StartEvent, write: Writer) -> Attributes:
    return payload.input_prompts(event.content, write)


def _tool_arguments(event: StartEvent, write: Writer) -> Attributes:
    return payload.tool_arguments(event.arguments, event.content, write)


def _query(event: StartEvent, write: Writer) -> Attributes:
    return payload.query(event.content, write)


CHAIN: Final = RunKind("on_chain_start", Kind.CHAIN, _chain_start, _inputs, SpanKind.INTERNAL, is_chain=True)
CHAT: Final = RunKind("on_chat_model_start", Kind.CHAT, _model_start, _messages, is_model=True)
COMPLETION: Final = RunKind("on_llm_start", Kind.COMPLETION, _model_start, _prompts, is_model=True)
TOOL: Final = RunKind("on_tool_start", Kind.TOOL, _tool_start, _tool_arguments, SpanKind.INTERNAL)
RETRIEVER: Final = RunKind("on_retriever_start", Kind.RETRIEVER, _retriever_start, _query)
