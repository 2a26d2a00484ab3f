"""Every name that runspan writes: attributes, events, metrics, each with its level and the source of its definition.

Names under ``gen_ai`` follow the OpenTelemetry GenAI conventions of autumn 2026, which are in Development; the packages
on PyPI mark theirs deprecated or lack them, so they stand here. Names under ``langchain`` and ``langgraph`` are ours:
the conventions have none for them. ``docs/telemetry.md`` is made from this table.
"""

import enum
from typing import Final, NamedTuple

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"

_GENAI: Final = "gen-ai-dev/1.42.0-dev"
_CORE: Final = "1.44.0"
_OPENINFERENCE: Final = "OpenInference 0.1.42"
_OURS: Final = "runspan"


class NameKind(enum.StrEnum):
    """What a name is the name of."""

    ATTRIBUTE = enum.auto()
    EVENT = enum.auto()
    METRIC = enum.auto()


class Level(enum.StrEnum):
    """How much the conventions ask for a name."""

    REQUIRED = "required"
    CONDITIONAL = "if it is known"
    RECOMMENDED = "recommended"
    CONTENT = "opt-in: content"
    OURS = "ours"


class Name(NamedTuple):
    """A name, and when it is written."""

    name: str
    kind: NameKind
    level: Level
    source: str
    """The version of the conventions that has it, or ``runspan``."""
    applies_to: str
    """The spans, events or metrics; empty for a metric."""
    description: str


NAMES: Final[list[Name]] = []

_MODELS: Final = "models"
_WITH_MESSAGES: Final = "models, agents, graphs"
_TOOLS: Final = "tools"
_RETRIEVERS: Final = "retrievers"
_AGENTS: Final = "agents"
_GRAPHS: Final = "graphs"
_NODES: Final = "nodes and what runs in them"
_ALL: Final = "all"


def _attribute(name: str, level: Level, applies_to: str, description: str, source: str = _GENAI) -> str:
    NAMES.append(Name(name, NameKind.ATTRIBUTE, level, source, applies_to, description))
    return name


def _ours(name: str, applies_to: str, description: str) -> str:
    return _attribute(name, Level.OURS, applies_to, description, _OURS)


def _event(name: str, level: Level, applies_to: str, description: str, source: str = _GENAI) -> str:
    NAMES.append(Name(name, NameKind.EVENT, level, source, applies_to, description))
    return name


def _metric(name: str, description: str, source: str = _GENAI) -> str:
    NAMES.append(Name(name, NameKind.METRIC, Level.RECOMMENDED, source, "", description))
    return name


# The operation and who serves it; set when a span starts, so that samplers can see them.
OPERATION: Final = _attribute(
    "gen_ai.operation.name", Level.REQUIRED, "all but chains, prompts, parsers and nodes", "what is done"
)
PROVIDER: Final = _attribute(
    "gen_ai.provider.name", Level.REQUIRED, "models; retrievers, if it is known", "whose interface is used"
)
REQUEST_MODEL: Final = _attribute(
    "gen_ai.request.model", Level.CONDITIONAL, "models; retrievers, if it is known", "the model that is asked for"
)
CONVERSATION_ID: Final = _attribute(
    "gen_ai.conversation.id",
    Level.CONDITIONAL,
    "models, tools, retrievers, agents, graphs",
    "`thread_id`, `session_id` or `conversation_id` of the metadata",
)

# Whose invocation it is: on all its spans, since backends ask each span, and not only the root.
SESSION_ID: Final = _attribute(
    "session.id", Level.CONDITIONAL, _ALL, "`session_id`, `thread_id` or `conversation_id` of the metadata", _CORE
)
USER_ID: Final = _attribute(
    "user.id", Level.CONTENT, _ALL, "`user_id` of the metadata; without content if `metadata_keys` has it", _CORE
)
RELEASE: Final = _attribute(
    "service.version", Level.CONTENT, _ALL, "`release` or `revision_id` of the metadata, likewise", _CORE
)
INVOCATION_TAGS: Final = _attribute("tag.tags", Level.CONTENT, _ALL, "the tags of the run at the top", _OPENINFERENCE)
INVOCATION: Final = (SESSION_ID, USER_ID, RELEASE, INVOCATION_TAGS)
"""What all spans of an invocation have in common; the first alone is no content."""
SPAN_KIND: Final = _attribute(
    "openinference.span.kind",
    Level.CONDITIONAL,
    "chains, prompts, parsers, nodes, graphs, retrievers",
    "`CHAIN` or `RETRIEVER`, where backends know no kind by the operation",
    _OPENINFERENCE,
)

# What a model is sent, beside the messages.
REQUEST_STREAM: Final = _attribute("gen_ai.request.stream", Level.CONDITIONAL, _MODELS, "True if the answer streamed")
CHOICE_COUNT: Final = _attribute("gen_ai.request.choice.count", Level.CONDITIONAL, _MODELS, "if it is not 1")
SEED: Final = _attribute("gen_ai.request.seed", Level.CONDITIONAL, _MODELS, "as sent")
TOP_K: Final = _attribute("gen_ai.request.top_k", Level.CONDITIONAL, _MODELS, "as sent")
TOP_P: Final = _attribute("gen_ai.request.top_p", Level.RECOMMENDED, _MODELS, "as sent")
TEMPERATURE: Final = _attribute("gen_ai.request.temperature", Level.RECOMMENDED, _MODELS, "as sent")
FREQUENCY_PENALTY: Final = _attribute("gen_ai.request.frequency_penalty", Level.RECOMMENDED, _MODELS, "as sent")
PRESENCE_PENALTY: Final = _attribute("gen_ai.request.presence_penalty", Level.RECOMMENDED, _MODELS, "as sent")
MAX_TOKENS: Final = _attribute("gen_ai.request.max_tokens", Level.RECOMMENDED, _MODELS, "as sent")
STOP_SEQUENCES: Final = _attribute("gen_ai.request.stop_sequences", Level.RECOMMENDED, _MODELS, "as sent; content")
REASONING_LEVEL: Final = _attribute("gen_ai.request.reasoning.level", Level.RECOMMENDED, _MODELS, "as sent")
PREVIOUS_RESPONSE_ID: Final = _attribute(
    "gen_ai.request.previous_response.id", Level.RECOMMENDED, _MODELS, "OpenAI's Responses API"
)
PROMPT_NAME: Final = _attribute(
    "gen_ai.prompt.name",
    Level.CONDITIONAL,
    _MODELS,
    "`lc_hub_repo` of the prompt's metadata, else its name",
)
PROMPT_VERSION: Final = _attribute(
    "gen_ai.prompt.version", Level.CONDITIONAL, _MODELS, "`lc_hub_commit_hash` of the prompt's metadata"
)
PROMPT_VARIABLE: Final = "gen_ai.prompt.variable."
"""Before the names of the variables of a prompt, which are content."""
NAMES.append(
    Name(
        f"{PROMPT_VARIABLE}*",
        NameKind.ATTRIBUTE,
        Level.CONTENT,
        _GENAI,
        _MODELS,
        "texts of up to 1,000 characters, and numbers, in the prompt",
    )
)
OUTPUT_TYPE: Final = _attribute("gen_ai.output.type", Level.CONDITIONAL, _MODELS, "`json` for structured output")
OPENAI_SERVICE_TIER: Final = _attribute(
    "openai.request.service_tier", Level.CONDITIONAL, "models of openai", "if it is not `auto`"
)

# What the model answered.
RESPONSE_ID: Final = _attribute("gen_ai.response.id", Level.RECOMMENDED, _MODELS, "the provider's id of the answer")
RESPONSE_MODEL: Final = _attribute("gen_ai.response.model", Level.RECOMMENDED, _MODELS, "the model that answered")
FINISH_REASONS: Final = _attribute(
    "gen_ai.response.finish_reasons", Level.RECOMMENDED, _MODELS, "one for each choice, in order"
)
TIME_TO_FIRST_CHUNK: Final = _attribute(
    "gen_ai.response.time_to_first_chunk", Level.RECOMMENDED, _MODELS, "seconds, if the answer streamed"
)
OPENAI_RESPONSE_TIER: Final = _attribute(
    "openai.response.service_tier", Level.CONDITIONAL, "models of openai", "the tier that served"
)
OPENAI_FINGERPRINT: Final = _attribute(
    "openai.response.system_fingerprint", Level.RECOMMENDED, "models of openai", "the provider's configuration"
)

ANTHROPIC_RESPONSE_TIER: Final = _attribute(
    "anthropic.response.service_tier", Level.OURS, "models of anthropic", "the tier that served", _OURS
)

# Tokens: the finer counts are parts of input_tokens or output_tokens, never on top of them.
INPUT_TOKENS: Final = _attribute("gen_ai.usage.input_tokens", Level.RECOMMENDED, _MODELS, "with those from a cache")
OUTPUT_TOKENS: Final = _attribute("gen_ai.usage.output_tokens", Level.RECOMMENDED, _MODELS, "with those of reasoning")
CACHE_READ_TOKENS: Final = _attribute(
    "gen_ai.usage.cache_read.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
CACHE_WRITE_TOKENS: Final = _attribute(
    "gen_ai.usage.cache_write.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
CACHE_CREATION_TOKENS: Final = _attribute(
    "gen_ai.usage.cache_creation.input_tokens",
    Level.RECOMMENDED,
    _MODELS,
    "the same by its legacy name, which Jaeger's GenAI view reads",
    "1.41.0",
)
REASONING_TOKENS: Final = _attribute(
    "gen_ai.usage.reasoning.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
TEXT_INPUT_TOKENS: Final = _attribute("gen_ai.usage.text.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input")
IMAGE_INPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.image.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
AUDIO_INPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.audio.input_tokens", Level.RECOMMENDED, _MODELS, "part of the input"
)
VIDEO_INPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.video.input_tokens", Level.OURS, _MODELS, "part of the input; proposed for the conventions", _OURS
)
TEXT_OUTPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.text.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
IMAGE_OUTPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.image.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
AUDIO_OUTPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.audio.output_tokens", Level.RECOMMENDED, _MODELS, "part of the output"
)
VIDEO_OUTPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.video.output_tokens", Level.OURS, _MODELS, "part of the output; proposed for the conventions", _OURS
)
# What that costs, if ``Settings.cost`` says how it is known.
_COST: Final = "if a setting says how it is known; proposed for the conventions"
COST_AMOUNT: Final = _attribute("gen_ai.usage.cost.amount", Level.OURS, _MODELS, f"what the call costs, {_COST}", _OURS)
COST_CURRENCY: Final = _attribute("gen_ai.usage.cost.currency", Level.OURS, _MODELS, "`USD` and the like", _OURS)
COST_SOURCE: Final = _attribute("gen_ai.usage.cost.source", Level.OURS, _MODELS, "who knows the cost", _OURS)

# Content: written only if Settings.capture_content allows.
INPUT_MESSAGES: Final = _attribute(
    "gen_ai.input.messages", Level.CONTENT, _WITH_MESSAGES, "messages, in the order sent"
)
OUTPUT_MESSAGES: Final = _attribute(
    "gen_ai.output.messages",
    Level.CONTENT,
    _WITH_MESSAGES,
    "one message for each choice of a model; the last message of an agent or a graph",
)
HISTORY_SPAN: Final = _ours(
    "runspan.history.span_id",
    _MODELS,
    "the span of the same trace that has the earlier messages, if a setting wants it",
)
HISTORY_MESSAGES: Final = _ours(
    "runspan.history.messages", _MODELS, "how many messages those are: of what that model read, then what it answered"
)
SYSTEM_INSTRUCTIONS: Final = _attribute(
    "gen_ai.system_instructions", Level.CONTENT, _MODELS, "those given apart from the messages: `instructions`"
)
OUTPUT_SCHEMA: Final = _attribute(
    "langchain.output.schema", Level.CONTENT, _MODELS, "the JSON schema that structured output is to have", _OURS
)
TOOL_DEFINITIONS: Final = _attribute("gen_ai.tool.definitions", Level.CONTENT, _MODELS, "the tools that may be called")

# What goes into the rest and comes out of it: a text as it is, all else as JSON. Of agents, graphs and models the root
# alone has them, and then the text of the last message, which lists of traces show.
_VALUES: Final = "chains, prompts, parsers, nodes, graphs without messages, retrievers, roots"
INPUTS: Final = _attribute("input.value", Level.CONTENT, _VALUES, "of chains if a setting allows", _OPENINFERENCE)
INPUTS_TYPE: Final = _attribute(
    "input.mime_type", Level.CONTENT, _VALUES, "`text/plain` or `application/json`", _OPENINFERENCE
)
OUTPUTS: Final = _attribute("output.value", Level.CONTENT, _VALUES, "likewise", _OPENINFERENCE)
OUTPUTS_TYPE: Final = _attribute("output.mime_type", Level.CONTENT, _VALUES, "likewise", _OPENINFERENCE)

TOOL_NAME: Final = _attribute("gen_ai.tool.name", Level.REQUIRED, _TOOLS, "")
TOOL_TYPE: Final = _attribute("gen_ai.tool.type", Level.RECOMMENDED, _TOOLS, "`function`")
TOOL_DESCRIPTION: Final = _attribute("gen_ai.tool.description", Level.RECOMMENDED, _TOOLS, "")
TOOL_CALL_ID: Final = _attribute("gen_ai.tool.call.id", Level.RECOMMENDED, _TOOLS, "the id that the model gave")
TOOL_ARGUMENTS: Final = _attribute("gen_ai.tool.call.arguments", Level.CONTENT, _TOOLS, "a JSON object")
TOOL_RESULT: Final = _attribute("gen_ai.tool.call.result", Level.CONTENT, _TOOLS, "")

TRANSFER_MODE: Final = _attribute(
    "gen_ai.transfer.mode", Level.CONDITIONAL, _TOOLS, "`pass_control`, if the tool hands off to another agent"
)
TRANSFER_TARGET: Final = _attribute(
    "gen_ai.transfer.target.name", Level.CONDITIONAL, _TOOLS, "the agent or node that goes on, if it is one"
)

QUERY: Final = _attribute("gen_ai.retrieval.query.text", Level.CONTENT, _RETRIEVERS, "")
DOCUMENTS: Final = _attribute(
    "gen_ai.retrieval.documents", Level.CONTENT, _RETRIEVERS, "with id, score, content, metadata, as far as there are"
)

AGENT_NAME: Final = _attribute("gen_ai.agent.name", Level.CONDITIONAL, "agents, and the tools they run", "")
WORKFLOW_NAME: Final = _attribute("gen_ai.workflow.name", Level.CONDITIONAL, _GRAPHS, "if the user named the graph")

ERROR_TYPE: Final = _attribute("error.type", Level.CONDITIONAL, _ALL, "the class of the exception", _CORE)

SERVER_ADDRESS: Final = _attribute(
    "server.address", Level.RECOMMENDED, _MODELS, "of the URL that the model was given", _CORE
)
SERVER_PORT: Final = _attribute("server.port", Level.CONDITIONAL, _MODELS, "of the URL that the model was given", _CORE)

EMBEDDING_DIMENSIONS: Final = _attribute(
    "gen_ai.embeddings.dimension.count", Level.RECOMMENDED, "embeddings", "of the vectors that came"
)

# On events and metrics alone.
EXCEPTION_TYPE: Final = _attribute("exception.type", Level.REQUIRED, "the exception event", "", _CORE)
EXCEPTION_MESSAGE: Final = _attribute("exception.message", Level.CONTENT, "the exception event", "", _CORE)
EXCEPTION_STACKTRACE: Final = _attribute(
    "exception.stacktrace", Level.RECOMMENDED, "the exception event", "without messages unless content is on", _CORE
)
TOKEN_MODALITY: Final = _attribute(
    "gen_ai.token.modality", Level.REQUIRED, "the counters of tokens", "`text`, `image`, `audio`, `video`, `unknown`"
)
TOKEN_TYPE: Final = _attribute(
    "gen_ai.token.type", Level.REQUIRED, "`gen_ai.client.token.usage`", "`input` or `output`", "1.41.0"
)

# Legacy names, written by ``Settings(semconv="latest_and_legacy")``.
SYSTEM: Final = _attribute(
    "gen_ai.system", Level.REQUIRED, _MODELS, "`gen_ai.provider.name` by its legacy name", "1.36.0"
)

# Ours.
RUN_ID: Final = _ours("langchain.run.id", _ALL, "LangChain's id of the run")
RUN_TYPE: Final = _ours(
    "langchain.run.type",
    _ALL,
    "`chain`, `prompt`, `parser`, `chat_model`, `llm`, `tool`, `retriever`, `agent`, `graph`",
)
RUN_NAME: Final = _ours(
    "langchain.run.name", "models, tools, retrievers, agents, graphs", "if the span's name is another"
)
RUN_OUTCOME: Final = _ours(
    "langchain.run.outcome", _ALL, "`cancelled`, `abandoned`, `interrupted` or `handed_off`: no errors"
)
TAGS: Final = _ours("langchain.tags", _ALL, "content")
METADATA: Final = "langchain.metadata."
"""Before the keys of metadata that ``Settings.metadata_keys`` allows."""
NAMES.append(Name(f"{METADATA}*", NameKind.ATTRIBUTE, Level.OURS, _OURS, _ALL, "the keys that a setting allows"))
FROM_CACHE: Final = _ours(
    "langchain.response.from_cache", _MODELS, "True if LangChain's own cache answered, so that nothing was used"
)
CHUNKS: Final = _ours("langchain.stream.chunks", _MODELS, "how many chunks came, if the answer streamed")
ATTEMPT: Final = _ours(
    "langchain.run.attempt", _ALL, "the number of an attempt at the same, from 1; a first may have none"
)
FALLBACK: Final = _ours("langchain.run.fallback", _ALL, "the number of a fallback, from 1")
SUBTREE_INPUT_TOKENS: Final = _ours(
    "langchain.subtree.input_tokens", "agents and graphs at the top", "the sum of the models within"
)
SUBTREE_OUTPUT_TOKENS: Final = _ours(
    "langchain.subtree.output_tokens", "agents and graphs at the top", "the sum of the models within"
)
LINK_TYPE: Final = _ours(
    "langchain.link.type",
    "links",
    "why a span links to another: `asked_by`, `reads`, `retry_of`, `fallback_for`, `resumed_from`, `evaluates`",
)
SUBTREE_COST: Final = _ours(
    "langchain.subtree.cost.amount",
    "agents and graphs at the top",
    "the sum of the models within, if the cost of all is known, in one currency",
)
SUBTREE_CURRENCY: Final = _ours("langchain.subtree.cost.currency", "agents and graphs at the top", "its currency")
GRAPH_NODE: Final = _ours("langgraph.node", _NODES, "")
GRAPH_STEP: Final = _ours("langgraph.step", _NODES, "")
CHECKPOINT_NAMESPACE: Final = _ours("langgraph.checkpoint.namespace", _NODES, "which subgraph the checkpoint is of")
HANDOFF_TARGETS: Final = _ours(
    "langgraph.handoff.targets", "what was `handed_off`", "the nodes of the parent graph that go on"
)
CHECKPOINT_ID: Final = _ours("langgraph.checkpoint.id", _GRAPHS, "where a graph was interrupted or resumed")

# What Langfuse reads by names of its own, written by ``configure(backend="langfuse")``.
LANGFUSE_RELEASE: Final = _attribute("langfuse.release", Level.CONTENT, _ALL, "`service.version`", "Langfuse")
LANGFUSE_COST: Final = _attribute(
    "gen_ai.usage.cost", Level.OURS, _MODELS, "`gen_ai.usage.cost.amount`, taken as US dollars", "Langfuse"
)

# Of delivery.
STARTED: Final = _ours("runspan.started", "markers of what has begun", "True; the span that has begun is the parent")
SHORTENED: Final = _ours("runspan.shortened", _ALL, "names of what was cut, since the span was too large to be sent")
ORIGINAL_SIZE: Final = _ours("runspan.shortened.original_size", _ALL, "bytes of that span before")
DESTINATION: Final = _ours("runspan.destination", "the counters of delivery", "the endpoint")
DROP_REASON: Final = _ours("runspan.drop.reason", "`runspan.spans.dropped`", "such as `queue_full` or `refused`")

# Events.
DETAILS_EVENT: Final = _event(
    "gen_ai.client.inference.operation.details", Level.RECOMMENDED, _MODELS, "what the span says, content structured"
)
EXCEPTION_EVENT: Final = _event("gen_ai.client.operation.exception", Level.RECOMMENDED, _MODELS, "a call that failed")
CUSTOM_EVENT: Final = _event("langchain.custom", Level.OURS, _ALL, "`dispatch_custom_event`: its name, its data", _OURS)
RETRY_EVENT: Final = _event("langchain.retry", Level.OURS, _ALL, "another attempt is going to be made", _OURS)
TEXT_EVENT: Final = _event("langchain.text", Level.OURS, _ALL, "a text that a run gave", _OURS)
INTERRUPT_EVENT: Final = _event("langgraph.interrupt", Level.OURS, _GRAPHS, "a graph waits for its user", _OURS)
RESUME_EVENT: Final = _event("langgraph.resume", Level.OURS, _GRAPHS, "a graph goes on", _OURS)
EVENT_NAME: Final = _ours("langchain.event.name", "`langchain.custom`", "the name that the application gave")
EVENT_DATA: Final = _ours(
    "langchain.event.data", "`langchain.custom`, `langchain.text`, `langgraph.interrupt`, `langgraph.resume`", "content"
)
RETRY_WAIT: Final = _ours("langchain.retry.wait", "`langchain.retry`", "seconds until the next attempt")
_EVALUATIONS: Final = "`gen_ai.evaluation.result`, spans of evaluations"
EVALUATION_EVENT: Final = _event(
    "gen_ai.evaluation.result", Level.RECOMMENDED, _ALL, "what `record_evaluation` was given"
)
EVALUATION_NAME: Final = _attribute("gen_ai.evaluation.name", Level.REQUIRED, _EVALUATIONS, "what was judged")
EVALUATION_VALUE: Final = _attribute("gen_ai.evaluation.score.value", Level.CONDITIONAL, _EVALUATIONS, "as a number")
EVALUATION_LABEL: Final = _attribute("gen_ai.evaluation.score.label", Level.CONDITIONAL, _EVALUATIONS, "as a word")
EVALUATION_EXPLANATION: Final = _attribute("gen_ai.evaluation.explanation", Level.RECOMMENDED, _EVALUATIONS, "")
EMBEDDING_INPUTS: Final = _ours("langchain.embeddings.inputs", "embeddings", "how many texts were given")

# Metrics.
INFERENCE_DURATION: Final = _metric("gen_ai.client.inference.duration", "seconds of a call of a model")
INFERENCE_FIRST_CHUNK: Final = _metric("gen_ai.client.inference.time_to_first_chunk", "seconds, of those that streamed")
INFERENCE_PER_CHUNK: Final = _metric("gen_ai.client.inference.time_per_output_chunk", "seconds between two chunks")
USED_INPUT_TOKENS: Final = _metric("gen_ai.client.inference.usage.input_tokens", "tokens, to add up")
USED_OUTPUT_TOKENS: Final = _metric("gen_ai.client.inference.usage.output_tokens", "tokens, to add up")
USED_CACHE_READ: Final = _metric("gen_ai.client.inference.usage.cache_read.input_tokens", "part of the input")
USED_CACHE_WRITE: Final = _metric("gen_ai.client.inference.usage.cache_write.input_tokens", "part of the input")
USED_REASONING: Final = _metric("gen_ai.client.inference.usage.reasoning.output_tokens", "part of the output")
CALL_INPUT_TOKENS: Final = _metric("gen_ai.client.inference.operation.input_tokens", "tokens of a call, as a histogram")
CALL_OUTPUT_TOKENS: Final = _metric(
    "gen_ai.client.inference.operation.output_tokens", "tokens of a call, as a histogram"
)
RETRIEVAL_DURATION: Final = _metric("gen_ai.client.operation.duration", "seconds of a retrieval; of models: legacy")
TOOL_DURATION: Final = _metric("gen_ai.execute_tool.duration", "seconds of a call of a tool")
AGENT_DURATION: Final = _metric("gen_ai.invoke_agent.duration", "seconds of an agent")
AGENT_INFERENCES: Final = _metric("gen_ai.invoke_agent.inference_calls", "calls of models by an agent itself")
AGENT_TOOL_CALLS: Final = _metric("gen_ai.invoke_agent.tool_calls", "calls of tools by an agent itself")
WORKFLOW_DURATION: Final = _metric("gen_ai.invoke_workflow.duration", "seconds of a graph")
EMBEDDINGS_DURATION: Final = _metric("gen_ai.client.embeddings.duration", "seconds of an embeddings call")
EMBEDDINGS_TOKENS: Final = _metric("gen_ai.client.embeddings.operation.input_tokens", "tokens of a call")
LEGACY_TOKEN_USAGE: Final = _metric("gen_ai.client.token.usage", "tokens of a call by their kind; legacy", "1.41.0")
# Of delivery: counters and one gauge, `runspan.spans.waiting`.
SPANS_TAKEN: Final = _metric("runspan.spans.taken", "spans that ended and were sampled", _OURS)
SPANS_SENT: Final = _metric("runspan.spans.sent", "spans that the receiver took", _OURS)
SPANS_RETRIED: Final = _metric("runspan.spans.retried", "spans to be sent again, once for each failed attempt", _OURS)
SPANS_SHORTENED: Final = _metric("runspan.spans.shortened", "spans that were too large", _OURS)
SPANS_SPOOLED: Final = _metric("runspan.spans.spooled", "spans put on disk", _OURS)
SPANS_DROPPED: Final = _metric("runspan.spans.dropped", "spans that are lost", _OURS)
BLOB_OUTCOME: Final = _ours("runspan.blob.outcome", "`runspan.blobs`", "`stored`, `failed` or `dropped`")
BLOBS: Final = _metric("runspan.blobs", "media that were to be stored, by what became of them", _OURS)
SPANS_WAITING: Final = _metric("runspan.spans.waiting", "spans in memory, not yet delivered", _OURS)

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
