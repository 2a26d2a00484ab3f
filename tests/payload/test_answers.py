"""What answers of models say about themselves, as the packages of providers build them."""

import enum

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, Generation, LLMResult

from runspan.payload import response_attributes


class BlockReason(enum.StrEnum):
    """A text that is a constant, as Google's package has it."""

    SAFETY = "SAFETY"


def chat(message, llm_output=None, **generation_info):
    return LLMResult(
        generations=[[ChatGeneration(message=message, generation_info=generation_info or None)]], llm_output=llm_output
    )


ANTHROPIC = chat(
    AIMessage(
        "1 + 2 = 3",
        id="lc_run--0199-0",
        response_metadata={
            "id": "msg_1",
            "model": "claude-sonnet-4-5-20250929",
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 14, "output_tokens": 9},
            "model_name": "claude-sonnet-4-5-20250929",
            "model_provider": "anthropic",
        },
        usage_metadata={
            "input_tokens": 14,
            "output_tokens": 9,
            "total_tokens": 23,
            "input_token_details": {"cache_read": 0, "cache_creation": 0},
        },
    ),
    {"id": "msg_1", "model": "claude-sonnet-4-5-20250929", "stop_reason": "end_turn"},
)
ANTHROPIC_CACHED_STREAM = LLMResult(
    generations=[
        [
            ChatGenerationChunk(
                message=AIMessageChunk(
                    "3",
                    id="lc_run--0199",
                    response_metadata={"model_name": "claude", "stop_reason": "max_tokens", "stop_sequence": None},
                    usage_metadata={
                        "input_tokens": 1014,
                        "output_tokens": 9,
                        "total_tokens": 1023,
                        "input_token_details": {
                            "cache_read": 300,
                            "cache_creation": 0,
                            "ephemeral_5m_input_tokens": 500,
                            "ephemeral_1h_input_tokens": 200,
                        },
                        "output_token_details": {"reasoning": 4},
                    },
                )
            )
        ]
    ]
)
OPENAI_TWO_CHOICES = LLMResult(
    generations=[
        [
            ChatGeneration(
                message=AIMessage(
                    text,
                    id="lc_run--0199-0",
                    response_metadata={"finish_reason": reason, "logprobs": None},
                    usage_metadata={
                        "input_tokens": 8,
                        "output_tokens": 20,
                        "total_tokens": 28,
                        "input_token_details": {"audio": 0, "cache_read": 5},
                        "output_token_details": {"audio": 0, "reasoning": 12},
                    },
                ),
                generation_info={"finish_reason": reason, "logprobs": None},
            )
            for text, reason in (("a", "stop"), ("b", "length"))
        ]
    ],
    llm_output={
        "token_usage": {"prompt_tokens": 8, "completion_tokens": 20, "total_tokens": 28},
        "model_provider": "openai",
        "model_name": "gpt-5-2025-08-07",
        "system_fingerprint": "fp_1",
        "service_tier": "default",
        "id": "chatcmpl-1",
    },
)
OPENAI_RESPONSES_FLEX = chat(
    AIMessage(
        [{"type": "text", "text": "3"}],
        id="resp_1",
        response_metadata={
            "id": "resp_1",
            "model": "gpt-5",
            "model_name": "gpt-5",
            "status": "completed",
            "service_tier": "flex",
            "model_provider": "openai",
        },
        usage_metadata={
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_token_details": {"flex": 60, "flex_cache_read": 40},
            "output_token_details": {"flex": 10, "flex_reasoning": 10},
        },
    )
)
GOOGLE = chat(
    AIMessage(
        "3",
        id="lc_run--0199-0",
        response_metadata={"finish_reason": "STOP", "model_name": "gemini-2.5-flash", "safety_ratings": []},
        usage_metadata={
            "input_tokens": 9,
            "output_tokens": 30,
            "total_tokens": 39,
            "input_token_details": {"cache_read": 0},
            "output_token_details": {"reasoning": 28},
        },
    ),
    {"prompt_feedback": None},
    finish_reason="STOP",
    model_name="gemini-2.5-flash",
)
BEDROCK = chat(
    AIMessage(
        "3",
        id="lc_run--0199-0",
        response_metadata={
            "ResponseMetadata": {"RequestId": "9ef1e313", "HTTPStatusCode": 200},
            "stopReason": "end_turn",
            "metrics": {"latencyMs": [609]},
            "model_name": "anthropic.claude-3-sonnet-20240229-v1:0",
        },
        usage_metadata={
            "input_tokens": 60,
            "output_tokens": 11,
            "total_tokens": 71,
            "input_token_details": {"cache_creation": 25, "cache_read": 10},
        },
    )
)
MISTRAL = chat(
    AIMessage(
        "3",
        id="run-0199-0",
        response_metadata={
            "token_usage": {"prompt_tokens": 7, "total_tokens": 10, "completion_tokens": 3},
            "model_name": "mistral-large-latest",
            "model": "mistral-large-latest",
            "finish_reason": "stop",
        },
        usage_metadata={"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
    ),
    finish_reason="stop",
)
OLLAMA = chat(
    AIMessage(
        "3",
        id="lc_run--0199-0",
        response_metadata={"model": "llama3", "done": True, "done_reason": "stop", "model_name": "llama3"},
    )
)
COMPLETION = LLMResult(
    generations=[[Generation(text="3", generation_info={"finish_reason": "stop", "logprobs": None})]],
    llm_output={
        "token_usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        "model_name": "gpt-3.5-turbo-instruct",
    },
)


@pytest.mark.parametrize(
    ("told", "model"),
    [
        ("gpt-4o-2024-08-06-2024-08-06", "gpt-4o-2024-08-06"),
        ("gpt-35-turbo-0125-0125", "gpt-35-turbo-0125"),
        ("gpt-4o-2024-08-06", "gpt-4o-2024-08-06"),
        ("phi-3-3", "phi-3-3"),
    ],
)
def test_a_version_that_is_said_twice(told, model):
    """LangChain adds the version of an Azure model to the name of the one that served, which has it."""
    response = chat(AIMessage("3", response_metadata={"model_name": told}))
    assert response_attributes(response)["gen_ai.response.model"] == model


@pytest.mark.parametrize(
    ("response", "attributes"),
    [
        pytest.param(
            ANTHROPIC,
            {
                "gen_ai.response.id": "msg_1",
                "gen_ai.response.model": "claude-sonnet-4-5-20250929",
                "gen_ai.response.finish_reasons": ["end_turn"],
                "gen_ai.usage.input_tokens": 14,
                "gen_ai.usage.output_tokens": 9,
            },
            id="anthropic",
        ),
        pytest.param(
            ANTHROPIC_CACHED_STREAM,
            {
                "gen_ai.response.model": "claude",
                "gen_ai.response.finish_reasons": ["max_tokens"],
                "gen_ai.usage.input_tokens": 1014,
                "gen_ai.usage.output_tokens": 9,
                "gen_ai.usage.cache_read.input_tokens": 300,
                "gen_ai.usage.cache_write.input_tokens": 700,
                "gen_ai.usage.cache_creation.input_tokens": 700,
                "gen_ai.usage.reasoning.output_tokens": 4,
            },
            id="anthropic-cached-stream",
        ),
        pytest.param(
            OPENAI_TWO_CHOICES,
            {
                "gen_ai.response.id": "chatcmpl-1",
                "gen_ai.response.model": "gpt-5-2025-08-07",
                "gen_ai.response.finish_reasons": ["stop", "length"],
                "gen_ai.usage.input_tokens": 8,
                "gen_ai.usage.output_tokens": 20,
                "gen_ai.usage.cache_read.input_tokens": 5,
                "gen_ai.usage.reasoning.output_tokens": 12,
                "openai.response.service_tier": "default",
                "openai.response.system_fingerprint": "fp_1",
            },
            id="openai-two-choices",
        ),
        pytest.param(
            OPENAI_RESPONSES_FLEX,
            {
                "gen_ai.response.id": "resp_1",
                "gen_ai.response.model": "gpt-5",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.output_tokens": 20,
                "gen_ai.usage.cache_read.input_tokens": 40,
                "gen_ai.usage.reasoning.output_tokens": 10,
                "openai.response.service_tier": "flex",
            },
            id="openai-responses-flex",
        ),
        pytest.param(
            GOOGLE,
            {
                "gen_ai.response.model": "gemini-2.5-flash",
                "gen_ai.response.finish_reasons": ["STOP"],
                "gen_ai.usage.input_tokens": 9,
                "gen_ai.usage.output_tokens": 30,
                "gen_ai.usage.reasoning.output_tokens": 28,
            },
            id="google",
        ),
        pytest.param(
            BEDROCK,
            {
                "gen_ai.response.model": "anthropic.claude-3-sonnet-20240229-v1:0",
                "gen_ai.response.finish_reasons": ["end_turn"],
                "gen_ai.usage.input_tokens": 60,
                "gen_ai.usage.output_tokens": 11,
                "gen_ai.usage.cache_read.input_tokens": 10,
                "gen_ai.usage.cache_write.input_tokens": 25,
                "gen_ai.usage.cache_creation.input_tokens": 25,
            },
            id="bedrock",
        ),
        pytest.param(
            MISTRAL,
            {
                "gen_ai.response.model": "mistral-large-latest",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.usage.input_tokens": 7,
                "gen_ai.usage.output_tokens": 3,
            },
            id="mistral",
        ),
        pytest.param(
            OLLAMA,
            {"gen_ai.response.model": "llama3", "gen_ai.response.finish_reasons": ["stop"]},
            id="ollama-without-usage",
        ),
        pytest.param(
            COMPLETION,
            {
                "gen_ai.response.model": "gpt-3.5-turbo-instruct",
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.usage.input_tokens": 5,
                "gen_ai.usage.output_tokens": 2,
            },
            id="completion",
        ),
        pytest.param(
            chat(AIMessage("3", id="gen-1", response_metadata={"usage": {"input_tokens": 5, "output_tokens": 1}})),
            {"gen_ai.response.id": "gen-1", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 1},
            id="only-raw-usage",
        ),
        pytest.param(
            LLMResult(
                generations=[[Generation(text="a", generation_info={"finish_reason": "stop"}), Generation(text="b")]]
            ),
            {"gen_ai.response.finish_reasons": ["stop", "error"]},
            id="one-reason-missing",
        ),
        pytest.param(
            LLMResult(generations=[[Generation(text="3")]], llm_output={"stop_reason": "length", "thinking": {}}),
            {"gen_ai.response.finish_reasons": ["length"]},
            id="bedrock-completion",
        ),
        pytest.param(
            LLMResult(
                generations=[
                    [Generation(text="a"), Generation(text="b", generation_info={"completionReason": "FINISH"})]
                ],
                llm_output={"stop_reason": "length"},
            ),
            {"gen_ai.response.finish_reasons": ["error", "FINISH"]},
            id="bedrock-titan-stream",
        ),
        pytest.param(
            chat(
                AIMessage("", response_metadata={"prompt_feedback": {"block_reason": BlockReason.SAFETY}}),
                {"prompt_feedback": {"block_reason": BlockReason.SAFETY}},
            ),
            {"gen_ai.response.finish_reasons": ["SAFETY"]},
            id="google-blocked-prompt",
        ),
        pytest.param(
            chat(AIMessage("3", response_metadata={"prompt_feedback": {"block_reason": 0}}), finish_reason="STOP"),
            {"gen_ai.response.finish_reasons": ["STOP"]},
            id="google-feedback-without-reason",
        ),
        pytest.param(chat(AIMessage("3"), {"token_usage": {}, "model_name": ""}), {}, id="nothing-known"),
        pytest.param(LLMResult(generations=[[]]), {}, id="no-generation"),
        pytest.param(
            LLMResult(generations=[[Generation(text="", generation_info={"finish_reason": ["\n"]})]]),
            {},
            id="stop-sequences-for-a-reason",
        ),
    ],
)
def test_an_answer_tells_what_the_provider_told(response, attributes):
    """Id, model, reasons and counts are the provider's; what it did not tell is left out, zeros of no meaning too."""
    assert response_attributes(response) == attributes
