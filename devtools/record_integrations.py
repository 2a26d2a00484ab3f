"""Write tests/data/integrations.json: what LangChain's packages for providers hand to callbacks when a call starts.

python devtools/record_integrations.py

Each model is constructed with the parameters that its constructor takes, and called; the callback stops the call before
anything is sent. `make integrations` runs this in an environment of its own, where those packages are.
"""
# ruff: noqa: INP001, T201  a script, and it prints

import contextlib
import importlib
import json
import os
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

from langchain_core.callbacks import BaseCallbackHandler

OUTPUT: Final = Path(__file__).parent.parent / "tests" / "data" / "integrations.json"
URL: Final = "http://127.0.0.1:9"
PARAMETERS: Final[dict[str, Any]] = {
    "temperature": 0.5,
    "top_p": 0.7,
    "top_k": 40,
    "max_tokens": 9,
    "stop_sequences": ["END"],
    "seed": 5,
    "frequency_penalty": 0.1,
    "presence_penalty": 0.2,
    "choice.count": 2,
    "server": URL,
}


class Integration(NamedTuple):
    """A class of models, and how its constructor takes what is asked for."""

    path: str
    names: dict[str, str]
    """The constructor's names of parameters; one with a dot stands in a dictionary."""
    others: dict[str, Any]
    label: str = ""


_SAME: Final = {name: name for name in ("temperature", "top_p", "max_tokens")}
_PENALTIES: Final = {name: name for name in ("frequency_penalty", "presence_penalty")}
_OPENAI: Final = {**_SAME, **_PENALTIES, "stop_sequences": "stop", "seed": "seed", "choice.count": "n"}
_KEY: Final = {"model": "m", "api_key": "x"}
_AWS: Final = {"region_name": "us-east-1"}
_OLLAMA: Final = {
    **{name: name for name in ("temperature", "top_p", "top_k", "seed")},
    "max_tokens": "num_predict",
    "stop_sequences": "stop",
    "server": "base_url",
}
_TITAN: Final = {"max_tokens": "maxTokenCount", "top_p": "topP", "temperature": "temperature"}
INTEGRATIONS: Final = (
    Integration("langchain_openai.ChatOpenAI", {**_OPENAI, "server": "base_url"}, _KEY),
    Integration(
        "langchain_openai.AzureChatOpenAI",
        {**_OPENAI, "server": "azure_endpoint"},
        {"azure_deployment": "m", "api_key": "x", "api_version": "2025-01-01"},
    ),
    Integration(
        "langchain_openai.OpenAI",
        {**_SAME, **_PENALTIES, "seed": "seed", "choice.count": "n", "server": "base_url"},
        _KEY,
    ),
    Integration(
        "langchain_anthropic.ChatAnthropic",
        {**_SAME, "top_k": "top_k", "stop_sequences": "stop_sequences", "server": "base_url"},
        _KEY,
    ),
    Integration(
        "langchain_google_genai.ChatGoogleGenerativeAI", {**_OPENAI, "top_k": "top_k", "server": "base_url"}, _KEY
    ),
    Integration(
        "langchain_google_vertexai.ChatVertexAI",
        {**_OPENAI, "top_k": "top_k", "max_tokens": "max_output_tokens", "server": "api_endpoint"},
        {"model": "gemini-1", "project": "p", "location": "l"},
    ),
    Integration(
        "langchain_mistralai.ChatMistralAI",
        {**_SAME, "seed": "random_seed", "stop_sequences": "stop", "server": "endpoint"},
        _KEY,
    ),
    Integration(
        "langchain_cohere.ChatCohere",
        {"temperature": "temperature", "stop_sequences": "stop", "server": "base_url"},
        {"model": "m", "cohere_api_key": "x"},
    ),
    Integration(
        "langchain_groq.ChatGroq",
        {**_SAME, "stop_sequences": "stop", "seed": "seed", "choice.count": "n", "server": "base_url"},
        _KEY,
    ),
    Integration("langchain_fireworks.ChatFireworks", {**_OPENAI, "server": "base_url"}, _KEY),
    Integration("langchain_together.ChatTogether", {**_OPENAI, "server": "base_url"}, _KEY),
    Integration("langchain_ollama.ChatOllama", _OLLAMA, {"model": "m"}),
    Integration("langchain_ollama.OllamaLLM", _OLLAMA, {"model": "m"}),
    Integration(
        "langchain_aws.ChatBedrockConverse",
        {**_SAME, "stop_sequences": "stop_sequences", "server": "endpoint_url"},
        {**_AWS, "model": "anthropic.m"},
    ),
    Integration(
        "langchain_aws.ChatBedrock",
        {
            "temperature": "temperature",
            "max_tokens": "max_tokens",
            "stop_sequences": "stop_sequences",
            "top_p": "model_kwargs.top_p",
            "top_k": "model_kwargs.top_k",
            "server": "endpoint_url",
        },
        {**_AWS, "model": "anthropic.claude-3"},
    ),
    Integration(
        "langchain_aws.ChatBedrock",
        {
            "temperature": "temperature",
            "top_p": "model_kwargs.top_p",
            "max_tokens": "model_kwargs.max_gen_len",
            "server": "endpoint_url",
        },
        {**_AWS, "model": "meta.llama3"},
        "Llama",
    ),
    Integration(
        "langchain_aws.BedrockLLM",
        {name: f"model_kwargs.textGenerationConfig.{own}" for name, own in _TITAN.items()}
        | {"stop_sequences": "model_kwargs.textGenerationConfig.stopSequences", "server": "endpoint_url"},
        {**_AWS, "model": "amazon.titan-text"},
        "Titan",
    ),
    Integration("langchain_deepseek.ChatDeepSeek", {**_OPENAI, "server": "base_url"}, _KEY),
    Integration("langchain_xai.ChatXAI", {**_OPENAI, "server": "base_url"}, _KEY),
    Integration(
        "langchain_perplexity.ChatPerplexity",
        {
            **{name: name for name in ("temperature", "max_tokens")},
            **{name: f"model_kwargs.{name}" for name in ("top_p", "top_k", *_PENALTIES)},
        },
        _KEY,
    ),
    Integration(
        "langchain_nvidia_ai_endpoints.ChatNVIDIA",
        {**_SAME, "seed": "seed", "stop_sequences": "stop", "server": "base_url"},
        {"model": "meta/llama3-8b-instruct", "api_key": "x"},
    ),
    Integration(
        "langchain_huggingface.HuggingFaceEndpoint",
        {
            **{name: name for name in ("temperature", "top_p", "top_k", "seed", "stop_sequences")},
            "max_tokens": "max_new_tokens",
            "server": "endpoint_url",
        },
        {"huggingfacehub_api_token": "x"},
    ),
    Integration("langchain_openrouter.ChatOpenRouter", {**_OPENAI, "server": "base_url"}, _KEY),
    Integration(
        "langchain_litellm.ChatLiteLLM",
        {**_SAME, "top_k": "top_k", "choice.count": "n", "server": "api_base"},
        _KEY,
    ),
)


class _StartedError(Exception):
    """The call has begun: what was handed over is known, and nothing is to be sent."""


class _Recorder(BaseCallbackHandler):
    raise_error = True

    def __init__(self) -> None:
        self.event: dict[str, Any] = {}

    def on_chat_model_start(self, serialized: Any, messages: Any, **keywords: Any) -> None:  # noqa: ARG002  the interface
        self._record("chat_model", serialized, keywords)

    def on_llm_start(self, serialized: Any, prompts: Any, **keywords: Any) -> None:  # noqa: ARG002  the interface
        self._record("llm", serialized, keywords)

    def _record(self, kind: str, serialized: Any, keywords: dict[str, Any]) -> None:
        given = {name: keywords.get(name) or {} for name in ("metadata", "invocation_params", "options")}
        given["metadata"].pop("lc_versions", None)
        described = {key: value for key, value in (serialized or {}).items() if key != "repr"}
        self.event = {"kind": kind, "serialized": described, **given}
        raise _StartedError


def record(integration: Integration) -> dict[str, Any]:
    """Return what a call of a model hands over, what it stores, and what was asked for."""
    module, _, name = integration.path.rpartition(".")
    model = getattr(importlib.import_module(module), name)(**_arguments(integration))
    recorder = _Recorder()
    with contextlib.suppress(_StartedError):
        model.invoke("hi", {"callbacks": [recorder]})
    package = module.replace("_", "-")
    has_arguments = "kwargs" in recorder.event["serialized"]
    return {
        "package": f"{package} {version(package)}",
        "asked": {name: PARAMETERS[name] for name in PARAMETERS if name in integration.names},
        "event": _plain(recorder.event),
        "fields": {} if has_arguments else {key: each for key, each in vars(model).items() if _is_recorded(key, each)},
    }


def _arguments(integration: Integration) -> dict[str, Any]:
    arguments = dict(integration.others)
    for name, own in integration.names.items():
        *path, last = own.split(".")
        inner = arguments
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = PARAMETERS[name]
    return arguments


def _plain(value: Any) -> Any:
    """Return a value as JSON has it; of objects nothing is kept but that there is one."""
    return json.loads(json.dumps(value, default=lambda each: f"<{type(each).__name__}>"))


def _is_recorded(key: str, value: Any) -> bool:
    return _is_plain(value) and "key" not in key and key != "metadata" and not key.startswith("_")


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(map(_is_plain, value))
    if isinstance(value, dict):
        return bool(value) and all(map(_is_plain, value.values()))
    return isinstance(value, str | int | float) and value != ""


def main() -> None:
    """Record all and write the file."""
    warnings.simplefilter("ignore")
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
    found = {}
    for integration in INTEGRATIONS:
        name = integration.path.rpartition(".")[2]
        found[f"{name} ({integration.label})" if integration.label else name] = record(integration)
    OUTPUT.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    print(f"{OUTPUT.name}: {len(found)} models.")


if __name__ == "__main__":
    main()
