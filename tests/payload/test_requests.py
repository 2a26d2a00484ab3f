"""What models are asked for, as the packages of providers give it to callbacks."""

import json
import math

import pytest
from pydantic import BaseModel

from runspan.payload import Kind, model_start, retriever_start
from runspan.payload.parameters import model_parameters
from runspan.payload.request_content import request_content


class City(BaseModel):
    """Where it rains."""

    city: str


class Answer:
    """What a structured answer is to be."""


@pytest.mark.parametrize(
    ("invocation_params", "told"),
    [
        pytest.param(
            {
                "model": "gpt-5",
                "stream": False,
                "seed": 3,
                "top_p": 1,
                "temperature": 0.5,
                "frequency_penalty": 0.1,
                "presence_penalty": 0,
                "stop": ["a"],
                "n": 2,
                "reasoning_effort": "low",
                "max_completion_tokens": 5,
                "top_logprobs": 4,
                "_type": "openai-chat",
            },
            {
                "request.seed": 3,
                "request.top_p": 1.0,
                "request.temperature": 0.5,
                "request.frequency_penalty": 0.1,
                "request.presence_penalty": 0.0,
                "request.stop_sequences": ["a"],
                "request.choice.count": 2,
                "request.reasoning.level": "low",
                "request.max_tokens": 5,
            },
            id="openai-chat",
        ),
        pytest.param(
            {
                "model": "gpt-5",
                "reasoning": {"effort": "low", "summary": "auto"},
                "previous_response_id": "resp_1",
                "text": {"format": {"type": "json_schema", "name": "x", "schema": {}}, "verbosity": "low"},
                "stop": None,
            },
            {
                "request.reasoning.level": "low",
                "request.previous_response.id": "resp_1",
                "output.type": "json",
            },
            id="openai-responses",
        ),
        pytest.param(
            {
                "model_name": "gpt-3.5-turbo-instruct",
                "temperature": 0.7,
                "top_p": 1,
                "frequency_penalty": 0,
                "n": 1,
                "logprobs": None,
                "max_tokens": 256,
                "best_of": 3,
            },
            {
                "request.temperature": 0.7,
                "request.top_p": 1.0,
                "request.frequency_penalty": 0.0,
                "request.max_tokens": 256,
            },
            id="openai-completion",
        ),
        pytest.param(
            {
                "model": "claude",
                "max_tokens": 4000,
                "temperature": None,
                "top_k": 3,
                "model_kwargs": {},
                "thinking": {"type": "enabled", "budget_tokens": 2000},
                "output_config": {"effort": "medium", "format": {"type": "json_schema", "schema": {}}},
                "stop_sequences": ("z",),
            },
            {
                "request.max_tokens": 4000,
                "request.top_k": 3,
                "request.reasoning.level": "medium",
                "request.stop_sequences": ["z"],
                "output.type": "json",
            },
            id="anthropic",
        ),
        pytest.param(
            {
                "model": "gemini-2.5-flash",
                "temperature": 0.0,
                "top_k": 40,
                "max_output_tokens": 7,
                "n": 2,
                "thinking_level": "low",
                "response_mime_type": "application/json",
            },
            {
                "request.temperature": 0.0,
                "request.top_k": 40,
                "request.max_tokens": 7,
                "request.choice.count": 2,
                "request.reasoning.level": "low",
                "output.type": "json",
            },
            id="gemini",
        ),
        pytest.param(
            {"generation_config": {"top_k": 40, "candidate_count": 3, "max_output_tokens": 7, "stop_sequences": ["a"]}},
            {
                "request.top_k": 40,
                "request.choice.count": 3,
                "request.max_tokens": 7,
                "request.stop_sequences": ["a"],
            },
            id="gemini-nested",
        ),
        pytest.param(
            {"inferenceConfig": {"maxTokens": 9, "topP": 0.5}, "additional_model_request_fields": {"top_k": 4}},
            {"request.max_tokens": 9, "request.top_p": 0.5, "request.top_k": 4},
            id="bedrock",
        ),
        pytest.param(
            {"model": "m", "temperature": 0.7, "top_p": 0.5, "random_seed": 4},
            {"request.temperature": 0.7, "request.top_p": 0.5, "request.seed": 4},
            id="mistral",
        ),
        pytest.param(
            {"format": "json", "options": {"num_predict": 9}},
            {"output.type": "json", "request.max_tokens": 9},
            id="ollama",
        ),
        pytest.param({"reasoning": "low"}, {"request.reasoning.level": "low"}, id="ollama-reasoning"),
        pytest.param(
            {"additional_model_request_fields": {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}}},
            {"request.reasoning.level": "high"},
            id="bedrock-nova-reasoning",
        ),
        pytest.param({"response_format": {"type": "json_object"}}, {"output.type": "json"}, id="json-mode"),
        pytest.param({"response_format": {"type": "text"}}, {"output.type": "text"}, id="text-on-request"),
        pytest.param({"response_format": Answer}, {"output.type": "json"}, id="a-class"),
        pytest.param({"format": {"type": "object", "properties": {}}}, {"output.type": "json"}, id="a-schema"),
        pytest.param({"format": {"$defs": {}, "anyOf": []}}, {"output.type": "json"}, id="a-schema-without-type"),
        pytest.param(
            {
                "n": True,
                "seed": 1.5,
                "top_k": 40.0,
                "top_p": "1",
                "temperature": math.nan,
                "max_tokens": 2**63,
                "stop": 5,
                "stop_sequences": [],
                "reasoning_effort": 3,
                "reasoning": True,
                "reasoningConfig": "high",
                "output_config": {"effort": None},
                "previous_response_id": "",
                "response_format": "url",
                "text": {"verbosity": "low"},
                "generation_config": "hot",
                5: 5,
            },
            {},
            id="wrong-types",
        ),
        pytest.param({"stop": "a"}, {"request.stop_sequences": ["a"]}, id="one-stop-sequence"),
        pytest.param({"stop": ["a", 5, ""]}, {"request.stop_sequences": ["a"]}, id="stop-sequences-are-text"),
        pytest.param(None, {}, id="nothing"),
    ],
)
def test_parameters_as_sent(invocation_params, told):
    """Each parameter has the convention's name and type; what has another type, or was not sent, is left out."""
    found = model_parameters(invocation_params)
    assert found == {f"gen_ai.{name}": value for name, value in told.items()}
    assert {name: type(value) for name, value in found.items()} == {
        f"gen_ai.{name}": type(value) for name, value in told.items()
    }


def test_the_metadata_tells_what_the_parameters_do_not():
    """Models whose parameters LangChain does not show have some in the metadata; what is sent goes before it."""
    metadata = {"ls_temperature": 0.1, "ls_max_tokens": 9, "ls_stop": ["s"], "temperature": 2.0, "seed": 1}
    assert model_parameters({"_type": "amazon_bedrock_converse_chat"}, metadata) == {
        "gen_ai.request.temperature": 0.1,
        "gen_ai.request.max_tokens": 9,
        "gen_ai.request.stop_sequences": ["s"],
    }
    assert model_parameters({"temperature": 0.5, "max_tokens": 5, "stop": ["a"]}, metadata) == {
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.stop_sequences": ["a"],
    }


@pytest.mark.parametrize("key", ["stop", "stop_sequences"])
def test_stop_sequences_of_a_call_go_before_the_model_s(key):
    """OpenAI's package hands over its constructor's among the parameters, though a call of its own is sent."""
    assert model_parameters({key: ["c"]}, {"ls_stop": ["d"]}, {"stop": ["d"]}, {"stop": ["c"]}) == {
        "gen_ai.request.stop_sequences": ["d"]
    }
    for none in (None, [], 5, [""]):
        assert model_parameters({key: ["c"]}, None, {"stop": none}) == {"gen_ai.request.stop_sequences": ["c"]}


def test_options_of_ollama_replace_all_parameters():
    """Of a call with options nothing else is sent, whatever the model was constructed with."""
    constructed = {"temperature": 0.1, "seed": 4, "stop": ["c"], "num_predict": 9}
    metadata = {"ls_temperature": 0.1, "ls_max_tokens": 9}
    assert model_parameters({"options": {"temperature": 0.9}}, metadata, None, constructed) == {
        "gen_ai.request.temperature": 0.9
    }
    assert model_parameters({"options": None}, metadata, None, constructed)["gen_ai.request.seed"] == 4


@pytest.mark.parametrize(("kind", "told"), [(Kind.COMPLETION, (0.6, 10, ["d"])), (Kind.CHAT, (0.5, 9, ["d"]))])
def test_parameters_of_a_call_of_a_completion_model(kind, told):
    """LangChain has them in the metadata, and those of the constructor among the parameters."""
    start = model_start(
        kind,
        invocation_params={"temperature": 0.5, "max_tokens": 9, "top_p": 0.7, "stop": ["d"]},
        metadata={"ls_temperature": 0.6, "ls_max_tokens": 10, "ls_stop": ["d"], "ls_model_name": "m"},
        options={"stop": ["d"]},
    )
    names = ("temperature", "max_tokens", "stop_sequences")
    assert tuple(start.attributes.get(f"gen_ai.request.{name}") for name in names) == told
    assert start.attributes["gen_ai.request.top_p"] == 0.7


def test_structured_output_is_json():
    """LangChain tells of structured output beside the parameters, also where a tool stands for it."""
    options = {"stop": None, "ls_structured_output_format": {"kwargs": {"method": "function_calling"}, "schema": {}}}
    told = model_start(Kind.CHAT, invocation_params={"tools": []}, options=options).attributes
    assert told["gen_ai.output.type"] == "json"
    assert model_parameters(None, None, {"stop": None, "ls_structured_output_format": None}) == {}


@pytest.mark.parametrize(
    ("said", "tier", "told"),
    [("openai", "flex", "flex"), ("openai", "auto", None), ("openai", None, None), ("groq", "flex", None)],
)
def test_the_service_tier_is_openai_s(said, tier, told):
    """The service tier is told of OpenAI's models alone, and only if one was asked for."""
    start = model_start(Kind.COMPLETION, metadata={"ls_provider": said}, invocation_params={"service_tier": tier})
    assert start.attributes.get("openai.request.service_tier") == told


SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
CYCLE: dict = {}
CYCLE["schema"] = CYCLE


@pytest.mark.parametrize(
    ("invocation_params", "options", "schema"),
    [
        pytest.param({}, {"ls_structured_output_format": {"kwargs": {}, "schema": SCHEMA}}, SCHEMA, id="langchain"),
        pytest.param(
            {},
            {"ls_structured_output_format": {"schema": {"type": "function", "function": {"parameters": SCHEMA}}}},
            SCHEMA,
            id="langchain-as-a-tool",
        ),
        pytest.param(
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
            None,
            SCHEMA,
            id="openai-chat",
        ),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
            None,
            SCHEMA,
            id="openai-responses",
        ),
        pytest.param({"format": SCHEMA}, {}, SCHEMA, id="ollama"),
        pytest.param({"response_schema": SCHEMA}, {}, SCHEMA, id="google"),
        pytest.param({"response_format": City}, {}, City.model_json_schema(), id="openai-a-class-of-pydantic"),
        pytest.param({"response_format": {"type": "json_object"}}, {}, None, id="json-without-schema"),
        pytest.param({"format": "json", "text": {"verbosity": "low"}}, {}, None, id="no-schema"),
        pytest.param({"format": CYCLE}, {}, None, id="cycle"),
        pytest.param({"response_format": Answer}, {"ls_structured_output_format": 5}, None, id="a-class"),
    ],
)
def test_the_schema_of_structured_output(invocation_params, options, schema):
    """The JSON schema that an answer is to have is content, wherever the package puts it."""
    found = request_content(invocation_params, options).get("langchain.output.schema")
    assert (json.loads(found) if found else None) == schema


@pytest.mark.parametrize(
    ("metadata", "path", "told"),
    [
        ({"ls_embedding_provider": "OpenAIEmbeddings", "ls_embedding_model": "e-3"}, (), ("openai", "e-3")),
        ({"ls_embedding_provider": "AzureOpenAIEmbeddings"}, (), ("azure.ai.openai", None)),
        ({"ls_embedding_provider": "VertexAIEmbeddings"}, (), ("gcp.vertex_ai", None)),
        ({"ls_embedding_provider": "OurOwnEmbeddings"}, (), (None, None)),
        ({}, ("langchain_aws", "retrievers", "AmazonKnowledgeBasesRetriever"), ("aws.bedrock", None)),
        (None, ("app", "Shelf"), (None, None)),
    ],
)
def test_who_serves_a_retrieval(metadata, path, told):
    """A retriever's provider and model are those of its embeddings, or of the package of its class."""
    attributes = retriever_start(serialized={"id": list(path)}, metadata=metadata).attributes
    assert (attributes.get("gen_ai.provider.name"), attributes.get("gen_ai.request.model")) == told
