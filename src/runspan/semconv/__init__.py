"""Every attribute that runspan writes, with its level and the source of its definition; events and metrics beside it.

Names under ``gen_ai`` follow the OpenTelemetry GenAI conventions of autumn 2026, which are in Development; the packages
on PyPI mark theirs deprecated or lack them, so they stand here. Names under ``langchain`` and ``langgraph`` are ours:
the conventions have none for them.
"""

from typing import Final

from runspan.semconv.name_table import (
    GENAI,
    GENERAL,
    NAMES,
    OPENINFERENCE,
    OWN,
    Level,
    Name,
    NameKind,
    attribute,
    ours,
)

SCHEMA_URL: Final = f"https://opentelemetry.io/schemas/{GENAI}"

_MODELS: Final = "models"
_WITH_MESSAGES: Final = "models, agents, graphs"
_TOOLS: Final = "tools"
_RETRIEVERS: Final = "retrievers"
_AGENTS: Final = "agents"
_GRAPHS: Final = "graphs"
_NODES: Final = "nodes and what runs in them"
_ALL: Final = "all"

# The operation and who serves it; set when a span starts, so that samplers can see them.
OPERATION: Final = attribute(
    "gen_ai.operation.name", Level.REQUIRED, "all but chains, prompts, parsers and nodes", "what is done"
)
PROVIDER: Final = attribute(
    "gen_ai.provider.name", Level.REQUIRED, "models; retrievers, if it is known", "whose interface is used"
)
REQUEST_MODEL: Final = attribute(
    "gen_ai.request.model", Level.CONDITIONAL, "models; retrievers, if it is known", "the model that is asked for"
)
CONVERSATION_ID: Final = attribute(
    "gen_ai.conversation.id",
    Level.CONDITIONAL,
    "models, tools, retrievers, agents, graphs",
    "`thread_id`, `session_id` or `conversation_id` of the metadata",
)

# Whose invocation it is: on all its spans, since backends ask each span, and not only the root.
SESSION_ID: Final = attribute(
    "session.id", Level.CONDITIONAL, _ALL, "`session_id`, `thread_id` or `conversation_id` of the metadata", GENERAL
)
USER_ID: Final = attribute(
    "user.id", Level.CONTENT, _ALL, "`user_id` of the metadata; without content if `metadata_keys` has it", GENERAL
)
RELEASE: Final = attribute(
    "service.version", Level.CONTENT, _ALL, "`release` or `revision_id` of the metadata, likewise", GENERAL
)
INVOCATION_TAGS: Final = attribute("tag.tags", Level.CONTENT, _ALL, "the tags of the run at the top", OPENINFERENCE)
INVOCATION: Final = (SESSION_ID, USER_ID, RELEASE, INVOCATION_TAGS)
"""What all spans of an invocation have in common; the first alone is no content."""
SPAN_KIND: Final = attribute(
    "openinference.span.kind",
    Level.CONDITIONAL,
    "chains, prompts, parsers, nodes, graphs, retrievers",
    "`CHAIN` or `RETRIEVER`, where backends know no kind by the operation",
    OPENINFERENCE,
)

# What a model is sent, beside the messages.
REQUEST_STREAM: Final = attribute("gen_ai.request.stream", Level.CONDITIONAL, _MODELS, "True if the answer streamed")
CHOICE_COUNT: Final = attribute("gen_ai.request.choice.count", Level.CONDITIONAL, _MODELS, "if it is not 1")
SEED: Final = attribute("gen_ai.request.seed", Level.CONDITIONAL, _MODELS, "as sent")
TOP_K: Final = attribute("gen_ai.request.top_k", Level.CONDITIONAL, _MODELS, "as sent")
TOP_P: Final = attribute("gen_ai.request.top_p", Level.RECOMMENDED, _MODELS, "as sent")
TEMPERATURE: Final = attribute("gen_ai.request.temperature", Level.RECOMMENDED, _MODELS, "as sent")
FREQUENCY_PENALTY: Final = attribute("gen_ai.request.frequency_penalty", Level.RECOMMENDED, _MODELS, "as sent")
PRESENCE_PENALTY: Final = attribute("gen_ai.request.presence_penalty", Level.RECOMMENDED, _MODELS, "as sent")
MAX_TOKENS: Final = attribute("gen_ai.request.max_tokens", Level.RECOMMENDED, _MODELS, "as sent")
STOP_SEQUENCES: Final = attribute("gen_ai.request.stop_sequences", Level.RECOMMENDED, _MODELS, "as sent; content")
REASONING_LEVEL: Final = attribute("gen_ai.request.reasoning.level", Level.RECOMMENDED, _MODELS, "as sent")
PREVIOUS_RESPONSE_ID: Final = attribute(
    "gen_ai.request.previous_response.id", Level.RECOMMENDED, _MODELS, "OpenAI's Responses API"
)
PROMPT_NAME: Final = attribute(
    "gen_ai.prompt.name",
    Level.CONDITIONAL,
    _MODELS,
    "`lc_hub_repo` of the prompt's metadata, else its name",
)
PROMPT_VERSION: Final = attribute(
    "gen_ai.prompt.version", Level.CONDITIONAL, _MODELS, "`lc_hub_commit_hash` of the prompt's metadata"
)
PROMPT_VARIABLE: Final = "gen_ai.prompt.variable."
"""Before the names of the variables of a prompt, which are content."""
NAMES.append(
    Name(
        f"{PROMPT_VARIABLE}*",
        NameKind.ATTRIBUTE,
        Level.CONTENT,
        GENAI,
        _MODELS,
        "texts of up to 1,000 characters, and numbers, in the prompt",
    )
)
OUTPUT_TYPE: Final = attribute("gen_ai.output.type", Level.CONDITIONAL, _MODELS, "`json` for structured output")
OPENAI_SERVICE_TIER: Final = attribute(
    "openai.request.service_tier", Level.CONDITIONAL, "models of openai", "if it is not `auto`"
)

# What the model answered.
RESPONSE_ID: Final = attribute("gen_ai.response.id", Level.RECOMMENDED, _MODELS, "the provider's id of the answer")
RESPONSE_MODEL: Final = attribute("gen_ai.response.model", Level.RECOMMENDED, _MODELS, "the model that answered")
FINISH_REASONS: Final = attribute(
    "gen_ai.response.finish_reasons", Level.RECOMMENDED, _MODELS, "one for each choice, in order"
)
TIME_TO_FIRST_CHUNK: Final = attribute(
    "gen_ai.response.time_to_first_chunk", Level.RECOMMENDED, _MODELS, "seconds, if the answer streamed"
)
OPENAI_RESPONSE_TIER: Final = attribute(
    "openai.response.service_tier", Level.CONDITIONAL, "models of openai", "the tier that served"
)
OPENAI_FINGERPRINT: Final = attribute(
    "openai.response.system_fingerprint", Level.RECOMMENDED, "models of openai", "the provider's configuration"
)

ANTHROPIC_RESPONSE_TIER: Final = attribute(
    "anthropic.response.service_tier", Level.OURS, "models of anthropic", "the tier that served", OWN
)

# Tokens: the finer counts are parts of input_tokens or output_tokens, never on top of them.
INPUT_TOKENS: Final = attribute("gen_ai.usage.input_tokens", Level.RECOMMENDED, _MODELS, "with those from a cache")
OUTPUT_TOKENS: Final = attribute("gen_ai.usage.output_tokens", Level.RECOMMENDED, _MODELS, "with those of reasoning")
CACHE_READ_TOKENS: Final = attribute(
    "gen_ai.usage.cache_read.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
CACHE_WRITE_TOKENS: Final = attribute(
    "gen_ai.usage.cache_write.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
CACHE_CREATION_TOKENS: Final = attribute(
    "gen_ai.usage.cache_creation.input_tokens",
    Level.RECOMMENDED,
    _MODELS,
    "the same by its legacy name, which Jaeger's GenAI view reads",
    "1.41.0",
)
REASONING_TOKENS: Final = attribute(
    "gen_ai.usage.reasoning.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
TEXT_INPUT_TOKENS: Final = attribute("gen_ai.usage.text.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input")
IMAGE_INPUT_TOKENS: Final = attribute(
    "gen_ai.usage.image.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
AUDIO_INPUT_TOKENS: Final = attribute(
    "gen_ai.usage.audio.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
VIDEO_INPUT_TOKENS: Final = attribute(
    "gen_ai.usage.video.input_tokens", Level.OURS, _MODELS, "part of the input; proposed for the conventions", OWN
)
TEXT_OUTPUT_TOKENS: Final = attribute(
    "gen_ai.usage.text.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
IMAGE_OUTPUT_TOKENS: Final = attribute(
    "gen_ai.usage.image.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
AUDIO_OUTPUT_TOKENS: Final = attribute(
    "gen_ai.usage.audio.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
VIDEO_OUTPUT_TOKENS: Final = attribute(
    "gen_ai.usage.video.output_tokens", Level.OURS, _MODELS, "part of the output; proposed for the conventions", OWN
)
# What that costs, if ``Settings.cost`` says how it is known.
_COST: Final = "if a setting says how it is known; proposed for the conventions"
COST_AMOUNT: Final = attribute("gen_ai.usage.cost.amount", Level.OURS, _MODELS, f"what the call costs, {_COST}", OWN)
COST_CURRENCY: Final = attribute("gen_ai.usage.cost.currency", Level.OURS, _MODELS, "`USD` and the like", OWN)
COST_SOURCE: Final = attribute("gen_ai.usage.cost.source", Level.OURS, _MODELS, "who knows the cost", OWN)

# Content: written only if Settings.capture_content allows.
INPUT_MESSAGES: Final = attribute("gen_ai.input.messages", Level.CONTENT, _WITH_MESSAGES, "messages, in the order sent")
OUTPUT_MESSAGES: Final = attribute(
    "gen_ai.output.messages",
    Level.CONTENT,
    _WITH_MESSAGES,
    "one message for each choice of a model; the last message of an agent or a graph",
)
HISTORY_SPAN: Final = ours(
    "runspan.history.span_id",
    _MODELS,
    "the span of the same trace that has the earlier messages, if a setting wants it",
)
HISTORY_MESSAGES: Final = ours(
    "runspan.history.messages", _MODELS, "how many messages those are: of what that model read, then what it answered"
)
SYSTEM_INSTRUCTIONS: Final = attribute(
    "gen_ai.system_instructions", Level.CONTENT, _MODELS, "those given apart from the messages"
)
OUTPUT_SCHEMA: Final = attribute(
    "langchain.output.schema", Level.CONTENT, _MODELS, "the JSON schema that structured output is to have", OWN
)
TOOL_DEFINITIONS: Final = attribute("gen_ai.tool.definitions", Level.CONTENT, _MODELS, "the tools that may be called")

# What goes into the rest and comes out of it: a text as it is, all else as JSON. Of agents, graphs and models the root
# alone has them, and then the text of the last message, which lists of traces show.
_VALUES: Final = "chains, prompts, parsers, nodes, graphs without messages, retrievers, roots"
INPUTS: Final = attribute("input.value", Level.CONTENT, _VALUES, "of chains if a setting allows", OPENINFERENCE)
INPUTS_TYPE: Final = attribute(
    "input.mime_type", Level.CONTENT, _VALUES, "`text/plain` or `application/json`", OPENINFERENCE
)
OUTPUTS: Final = attribute("output.value", Level.CONTENT, _VALUES, "likewise", OPENINFERENCE)
OUTPUTS_TYPE: Final = attribute("output.mime_type", Level.CONTENT, _VALUES, "likewise", OPENINFERENCE)

TOOL_NAME: Final = attribute("gen_ai.tool.name", Level.REQUIRED, _TOOLS, "")
TOOL_TYPE: Final = attribute("gen_ai.tool.type", Level.RECOMMENDED, _TOOLS, "`function`")
TOOL_DESCRIPTION: Final = attribute("gen_ai.tool.description", Level.RECOMMENDED, _TOOLS, "")
TOOL_CALL_ID: Final = attribute("gen_ai.tool.call.id", Level.RECOMMENDED, _TOOLS, "the id that the model gave")
TOOL_ARGUMENTS: Final = attribute("gen_ai.tool.call.arguments", Level.CONTENT, _TOOLS, "a JSON object")
TOOL_RESULT: Final = attribute("gen_ai.tool.call.result", Level.CONTENT, _TOOLS, "")

TRANSFER_MODE: Final = attribute(
    "gen_ai.transfer.mode", Level.CONDITIONAL, _TOOLS, "`pass_control`, if the tool hands off to another agent"
)
TRANSFER_TARGET: Final = attribute(
    "gen_ai.transfer.target.name", Level.CONDITIONAL, _TOOLS, "the agent or node that goes on, if it is one"
)

QUERY: Final = attribute("gen_ai.retrieval.query.text", Level.CONTENT, _RETRIEVERS, "")
DOCUMENTS: Final = attribute(
    "gen_ai.retrieval.documents", Level.CONTENT, _RETRIEVERS, "with id, score, content, metadata, as far as there are"
)

AGENT_NAME: Final = attribute("gen_ai.agent.name", Level.CONDITIONAL, "agents, and the tools they run", "")
WORKFLOW_NAME: Final = attribute("gen_ai.workflow.name", Level.CONDITIONAL, _GRAPHS, "if the user named the graph")

ERROR_TYPE: Final = attribute("error.type", Level.CONDITIONAL, _ALL, "the class of the exception", GENERAL)

SERVER_ADDRESS: Final = attribute(
    "server.address", Level.RECOMMENDED, _MODELS, "of the URL that the model was given", GENERAL
)
SERVER_PORT: Final = attribute(
    "server.port", Level.CONDITIONAL, _MODELS, "of the URL that the model was given", GENERAL
)

EMBEDDING_DIMENSIONS: Final = attribute(
    "gen_ai.embeddings.dimension.count", Level.RECOMMENDED, "embeddings", "of the vectors that came"
)
EMBEDDING_INPUTS: Final = ours("langchain.embeddings.inputs", "embeddings", "how many texts were given")

# On events alone.
EXCEPTION_TYPE: Final = attribute("exception.type", Level.REQUIRED, "the exception event", "", GENERAL)
EXCEPTION_MESSAGE: Final = attribute("exception.message", Level.CONTENT, "the exception event", "", GENERAL)
EXCEPTION_STACKTRACE: Final = attribute(
    "exception.stacktrace", Level.RECOMMENDED, "the exception event", "without messages unless content is on", GENERAL
)
# Legacy names, written by ``Settings(semconv="latest_and_legacy")``.
SYSTEM: Final = attribute(
    "gen_ai.system", Level.REQUIRED, _MODELS, "`gen_ai.provider.name` by its legacy name", "1.36.0"
)

# Ours.
RUN_ID: Final = ours("langchain.run.id", _ALL, "LangChain's id of the run")
RUN_TYPE: Final = ours(
    "langchain.run.type",
    _ALL,
    "`chain`, `prompt`, `parser`, `chat_model`, `llm`, `tool`, `retriever`, `agent`, `graph`",
)
RUN_NAME: Final = ours(
    "langchain.run.name", "models, tools, retrievers, agents, graphs", "if the span's name is another"
)
RUN_OUTCOME: Final = ours(
    "langchain.run.outcome", _ALL, "`cancelled`, `abandoned`, `interrupted` or `handed_off`: no errors"
)
TAGS: Final = ours("langchain.tags", _ALL, "content")
METADATA: Final = "langchain.metadata."
"""Before the keys of metadata that ``Settings.metadata_keys`` allows."""
NAMES.append(Name(f"{METADATA}*", NameKind.ATTRIBUTE, Level.OURS, OWN, _ALL, "the keys that a setting allows"))
FROM_CACHE: Final = ours(
    "langchain.response.from_cache", _MODELS, "True if LangChain's own cache answered, so that nothing was used"
)
CHUNKS: Final = ours("langchain.stream.chunks", _MODELS, "how many chunks came, if the answer streamed")
ATTEMPT: Final = ours(
    "langchain.run.attempt", _ALL, "the number of an attempt at the same, from 1; a first may have none"
)
FALLBACK: Final = ours("langchain.run.fallback", _ALL, "the number of a fallback, from 1")
SUBTREE_INPUT_TOKENS: Final = ours(
    "langchain.subtree.input_tokens", "agents and graphs at the top", "the sum of the models within"
)
SUBTREE_OUTPUT_TOKENS: Final = ours(
    "langchain.subtree.output_tokens", "agents and graphs at the top", "the sum of the models within"
)
LINK_TYPE: Final = ours(
    "langchain.link.type",
    "links",
    "why a span links to another: `asked_by`, `reads`, `retry_of`, `fallback_for`, `resumed_from`, `evaluates`",
)
SUBTREE_COST: Final = ours(
    "langchain.subtree.cost.amount",
    "agents and graphs at the top",
    "the sum of the models within, if the cost of all is known, in one currency",
)
SUBTREE_CURRENCY: Final = ours("langchain.subtree.cost.currency", "agents and graphs at the top", "its currency")
GRAPH_NODE: Final = ours("langgraph.node", _NODES, "")
GRAPH_STEP: Final = ours("langgraph.step", _NODES, "")
CHECKPOINT_NAMESPACE: Final = ours("langgraph.checkpoint.namespace", _NODES, "which subgraph the checkpoint is of")
HANDOFF_TARGETS: Final = ours(
    "langgraph.handoff.targets", "what was `handed_off`", "the nodes of the parent graph that go on"
)
CHECKPOINT_ID: Final = ours("langgraph.checkpoint.id", _GRAPHS, "where a graph was interrupted or resumed")

# What Langfuse reads by names of its own, written by ``configure(backend="langfuse")``.
LANGFUSE_RELEASE: Final = attribute("langfuse.release", Level.CONTENT, _ALL, "`service.version`", "Langfuse")
LANGFUSE_COST: Final = attribute(
    "gen_ai.usage.cost", Level.OURS, _MODELS, "`gen_ai.usage.cost.amount`, taken as US dollars", "Langfuse"
)

EVENT_DATA: Final = ours(
    "langchain.event.data", "`langchain.custom`, `langchain.text`, `langgraph.interrupt`, `langgraph.resume`", "content"
)

CONTENT: Final = frozenset(each.name for each in NAMES if each.level is Level.CONTENT) | {
    EVENT_DATA,
    STOP_SEQUENCES,
    TAGS,
}
"""The attributes that are written only where ``Settings.capture_content`` allows."""

CORE: Final = (
    CONVERSATION_ID,
    RUN_ID,
    INPUTS,
    OUTPUTS,
    DOCUMENTS,
    QUERY,
    TOOL_ARGUMENTS,
    TOOL_RESULT,
    INPUT_MESSAGES,
    OUTPUT_MESSAGES,
    RESPONSE_MODEL,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    ERROR_TYPE,
    WORKFLOW_NAME,
    AGENT_NAME,
    TOOL_NAME,
    PROVIDER,
    REQUEST_MODEL,
    OPERATION,
)
"""What spans keep, the last of them longest, where OpenTelemetry's limit of the number of attributes is exceeded."""
