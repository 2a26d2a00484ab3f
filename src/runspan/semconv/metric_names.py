"""The metrics that runspan records."""

from typing import Final

from runspan.semconv.name_table import Level, attribute, metric

INFERENCE_DURATION: Final = metric("gen_ai.client.inference.duration", "seconds of a call of a model")
INFERENCE_FIRST_CHUNK: Final = metric("gen_ai.client.inference.time_to_first_chunk", "seconds, of those that streamed")
INFERENCE_PER_CHUNK: Final = metric("gen_ai.client.inference.time_per_output_chunk", "seconds between two chunks")
USED_INPUT_TOKENS: Final = metric("gen_ai.client.inference.usage.input_tokens", "tokens, to add up")
USED_OUTPUT_TOKENS: Final = metric("gen_ai.client.inference.usage.output_tokens", "tokens, to add up")
USED_CACHE_READ: Final = metric("gen_ai.client.inference.usage.cache_read.input_tokens", "part of the input")
USED_CACHE_WRITE: Final = metric("gen_ai.client.inference.usage.cache_write.input_tokens", "part of the input")
USED_REASONING: Final = metric("gen_ai.client.inference.usage.reasoning.output_tokens", "part of the output")
CALL_INPUT_TOKENS: Final = metric("gen_ai.client.inference.operation.input_tokens", "tokens of a call, as a histogram")
CALL_OUTPUT_TOKENS: Final = metric(
    "gen_ai.client.inference.operation.output_tokens", "tokens of a call, as a histogram"
)
RETRIEVAL_DURATION: Final = metric("gen_ai.client.operation.duration", "seconds of a retrieval; of models: legacy")
TOOL_DURATION: Final = metric("gen_ai.execute_tool.duration", "seconds of a call of a tool")
AGENT_DURATION: Final = metric("gen_ai.invoke_agent.duration", "seconds of an agent")
AGENT_INFERENCES: Final = metric("gen_ai.invoke_agent.inference_calls", "calls of models by an agent itself")
AGENT_TOOL_CALLS: Final = metric("gen_ai.invoke_agent.tool_calls", "calls of tools by an agent itself")
WORKFLOW_DURATION: Final = metric("gen_ai.invoke_workflow.duration", "seconds of a graph")
EMBEDDINGS_DURATION: Final = metric("gen_ai.client.embeddings.duration", "seconds of an embeddings call")
EMBEDDINGS_TOKENS: Final = metric("gen_ai.client.embeddings.operation.input_tokens", "tokens of a call")
LEGACY_TOKEN_USAGE: Final = metric("gen_ai.client.token.usage", "tokens of a call by their kind; legacy", "1.41.0")

# What they alone have.
TOKEN_MODALITY: Final = attribute(
    "gen_ai.token.modality", Level.REQUIRED, "the counters of tokens", "`text`, `image`, `audio`, `video`, `unknown`"
)
TOKEN_TYPE: Final = attribute(
    "gen_ai.token.type", Level.REQUIRED, "`gen_ai.client.token.usage`", "`input` or `output`", "1.41.0"
)
