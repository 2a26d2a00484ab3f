"""Every attribute name that runspan writes, in one table.

Names under ``gen_ai`` follow the OpenTelemetry GenAI conventions of autumn 2026 (Development stability,
schema ``gen-ai-dev/1.42.0-dev``); the packages on PyPI mark theirs deprecated or lack them, so they stand here.
Names under ``langchain`` and ``langgraph`` are ours: the conventions have none for them.
"""

from typing import Final

# The operation and who serves it; set when a span starts, so that samplers can see them.
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"

# What the model answered.
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"

# Tokens: the finer counts are parts of input_tokens or output_tokens, never on top of them.
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
# The name before cache_write; Jaeger's GenAI view reads this one.
CACHE_CREATION_TOKENS: Final = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

# Content: written only if Settings.capture_content allows.
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"

TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"

QUERY: Final = "gen_ai.retrieval.query.text"
DOCUMENTS: Final = "gen_ai.retrieval.documents"

ERROR_TYPE: Final = "error.type"

# Ours.
RUN_ID: Final = "langchain.run.id"
RUN_TYPE: Final = "langchain.run.type"
RUN_NAME: Final = "langchain.run.name"
RUN_OUTCOME: Final = "langchain.run.outcome"
TAGS: Final = "langchain.tags"
# What goes into a chain, prompt, parser, graph or node and comes out of it, as JSON.
INPUTS: Final = "langchain.inputs"
OUTPUTS: Final = "langchain.outputs"
GRAPH_NODE: Final = "langgraph.node"
GRAPH_STEP: Final = "langgraph.step"
