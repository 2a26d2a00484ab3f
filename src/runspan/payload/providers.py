"""Names of model providers: what LangChain calls them, and what the GenAI conventions do."""

from typing import Any, Final

from runspan.payload.text import text_at

# Names that differ; all others are passed on in lower case. The convention names the flavour of the API that is
# spoken, so Anthropic's and OpenAI's own clients count as theirs, also where AWS hosts the model.
_CONVENTION: Final = {
    "amazon_bedrock": "aws.bedrock",
    "anthropic-bedrock": "anthropic",
    "anthropic-mantle": "anthropic",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "bedrock_converse": "aws.bedrock",
    "google_genai": "gcp.gen_ai",
    "google_generativeai": "gcp.gemini",
    "google_vertexai": "gcp.vertex_ai",
    "ibm": "ibm.watsonx.ai",
    "mistral": "mistral_ai",
    "mistralai": "mistral_ai",
    "moonshot": "moonshot_ai",
    "openai-codex": "openai",
    "openai-mantle": "openai",
    "vertexai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}


def provider(metadata: Any) -> str | None:
    """Return the convention's name for the provider in a model run's metadata (``ls_provider``)."""
    name = text_at(metadata, "ls_provider")
    if name is None:
        return None
    name = name.lower()
    return _CONVENTION.get(name, name)
