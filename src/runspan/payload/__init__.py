"""What LangChain hands to callbacks, as names and attributes of spans."""

from runspan.payload.calls import calls_answered, calls_asked
from runspan.payload.chains import chain_start
from runspan.payload.commands import handoff, transfer
from runspan.payload.content import Attributes, AttributeValue, to_json
from runspan.payload.errors import Failure, failure
from runspan.payload.inputs_outputs import documents, inputs, outputs, query, tool_arguments, tool_result
from runspan.payload.messages import input_messages, input_prompts, output_messages
from runspan.payload.metadata import chosen, conversation, origin
from runspan.payload.response import answer
from runspan.payload.start import (
    Kind,
    Start,
    chat_start,
    completion_start,
    retriever_start,
    tool_start,
    unknown_start,
)
from runspan.payload.text import clean

__all__ = [
    "AttributeValue",
    "Attributes",
    "Failure",
    "Kind",
    "Start",
    "answer",
    "calls_answered",
    "calls_asked",
    "chain_start",
    "chat_start",
    "chosen",
    "clean",
    "completion_start",
    "conversation",
    "documents",
    "failure",
    "handoff",
    "input_messages",
    "input_prompts",
    "inputs",
    "origin",
    "output_messages",
    "outputs",
    "query",
    "retriever_start",
    "to_json",
    "tool_arguments",
    "tool_result",
    "tool_start",
    "transfer",
    "unknown_start",
]
