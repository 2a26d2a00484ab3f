"""What runs: its name, tags, metadata and parameters, under the keys that LangChain has for them."""

from typing import Any, Final

from runspan.payload import Kind
from runspan.rebuild.facts import WORDS
from runspan.rebuild.span_data import SpanData, count, from_json, number, text, text_in, texts, value

_MODEL_TYPES: Final = {Kind.CHAT: "chat", Kind.COMPLETION: "llm"}

# The names that LangChain's packages have for providers, where they differ from the conventions'.
_LANGCHAIN_PROVIDERS: Final = {
    "aws.bedrock": "amazon_bedrock",
    "azure.ai.openai": "azure",
    "gcp.gemini": "google_genai",
    "gcp.gen_ai": "google_genai",
    "gcp.vertex_ai": "google_vertexai",
    "ibm.watsonx.ai": "watsonx",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshot",
    "x_ai": "xai",
}

_NUMBERS: Final = {
    "temperature": WORDS.temperature,
    "max_tokens": WORDS.max_tokens,
    "top_p": WORDS.top_p,
    "top_k": WORDS.top_k,
    "frequency_penalty": WORDS.frequency_penalty,
    "presence_penalty": WORDS.presence_penalty,
    "seed": WORDS.seed,
    "n": WORDS.choices,
}


def name(kind: Kind, told: SpanData) -> str | None:
    """Return the name of a run; a model has none but that which it was given, as in LangChain."""
    if run_name := text(told, WORDS.run_name):
        return run_name
    match kind:
        case Kind.CHAT | Kind.COMPLETION:
            return None
        case Kind.TOOL:
            return text(told, WORDS.tool_name) or text_in(told.name)
        case Kind.CHAIN:
            return text(told, WORDS.chain_name) or text_in(told.name)
        case _:
            return text_in(told.name)


def serialized(kind: Kind, told: SpanData) -> dict[str, Any]:
    """Return what LangChain says of an object that it can't serialize; a model without a name goes by the model's."""
    names = WORDS.tool_name if kind is Kind.TOOL else WORDS.run_name
    if kind in _MODEL_TYPES:
        names += WORDS.request_model + WORDS.response_model
    called = text(told, names) or name(kind, told) or text_in(told.name) or str(kind)
    found: dict[str, Any] = {"lc": 1, "type": "not_implemented", "id": [called], "name": called}
    if kind is Kind.TOOL:
        found["description"] = text(told, WORDS.tool_description) or ""
    return found


def tags(told: SpanData) -> list[str]:
    """Return the tags of a run."""
    return texts(told, WORDS.tags)


def metadata(kind: Kind, told: SpanData) -> dict[str, Any]:
    """Return the metadata of a run: where it belongs, and for a model what is known of it beforehand."""
    recorded = from_json(value(told, WORDS.metadata))
    found = {
        "thread_id": text(told, WORDS.thread_id),
        "session_id": text(told, WORDS.session_id),
        "langgraph_node": text(told, WORDS.graph_node),
        "langgraph_step": count(told, WORDS.graph_step),
        **(_model_metadata(kind, told) if kind in _MODEL_TYPES else {}),
    }
    return {
        **(recorded if isinstance(recorded, dict) else {}),
        **{key: each for key, each in found.items() if each is not None},
    }


def provider(told: SpanData) -> str | None:
    """Return LangChain's name for the provider of a model."""
    found = (text(told, WORDS.provider) or "").lower()
    return _LANGCHAIN_PROVIDERS.get(found, found) or None


def parameters(told: SpanData) -> dict[str, Any]:
    """Return what is sent to a model beside the messages."""
    recorded = from_json(value(told, WORDS.parameters))
    tools = from_json(value(told, WORDS.tools))
    stream = value(told, WORDS.stream)
    found = {
        "model": text(told, WORDS.request_model),
        **{key: number(told, names) for key, names in _NUMBERS.items()},
        "stop": texts(told, WORDS.stop) or None,
        "stream": stream if isinstance(stream, bool) else None,
        "tools": tools if isinstance(tools, list) else None,
    }
    return {
        "stop": None,
        **(recorded if isinstance(recorded, dict) else {}),
        **{key: each for key, each in found.items() if each is not None},
    }


def _model_metadata(kind: Kind, told: SpanData) -> dict[str, Any]:
    sent = parameters(told)
    return {
        "ls_provider": provider(told),
        "ls_model_name": text_in(sent.get("model")) or text_in(sent.get("model_name")),
        "ls_model_type": _MODEL_TYPES[kind],
        "ls_temperature": sent.get("temperature"),
        "ls_max_tokens": sent.get("max_tokens"),
        "ls_stop": sent.get("stop"),
    }
