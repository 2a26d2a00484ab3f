"""What LangChain hands to callbacks, as names and attributes of spans."""

from runspan.payload.commands import handoff, transfer
from runspan.payload.errors import Failure, error_message, failure
from runspan.payload.graph_state import state_inputs, state_outputs
from runspan.payload.inputs_outputs import documents, inputs, outputs, query, tool_arguments, tool_result
from runspan.payload.messages import has_all_messages, input_messages, input_prompts, message_hash, output_messages
from runspan.payload.metadata import belonging, conversation, names_invocation, origin, selected_metadata
from runspan.payload.plain_values import retrieval_values, root_values
from runspan.payload.response import response_attributes
from runspan.payload.serialize import to_json
from runspan.payload.start import (
    Kind,
    Start,
    chain_start,
    model_start,
    retriever_start,
    tool_start,
    unknown_start,
)
from runspan.payload.text import clean
from runspan.payload.tools import answered_call_ids, requested_call_ids

__all__ = [
    "Failure",
    "Kind",
    "Start",
    "answered_call_ids",
    "belonging",
    "chain_start",
    "clean",
    "conversation",
    "documents",
    "error_message",
    "failure",
    "handoff",
    "has_all_messages",
    "input_messages",
    "input_prompts",
    "inputs",
    "message_hash",
    "model_start",
    "names_invocation",
    "origin",
    "output_messages",
    "outputs",
    "query",
    "requested_call_ids",
    "response_attributes",
    "retrieval_values",
    "retriever_start",
    "root_values",
    "selected_metadata",
    "state_inputs",
    "state_outputs",
    "to_json",
    "tool_arguments",
    "tool_result",
    "tool_start",
    "transfer",
    "unknown_start",
]
