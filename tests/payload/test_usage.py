"""Counts of tokens, as the packages of providers leave them and as providers send them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from runspan.payload.usage import is_from_cache, repeated_usage, usage

NAMES = {
    "in": "gen_ai.usage.input_tokens",
    "out": "gen_ai.usage.output_tokens",
    "read": "gen_ai.usage.cache_read.input_tokens",
    "write": "gen_ai.usage.cache_write.input_tokens",
    "creation": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning": "gen_ai.usage.reasoning.output_tokens",
    "text_in": "gen_ai.usage.text.input_tokens",
    "image_in": "gen_ai.usage.image.input_tokens",
    "audio_in": "gen_ai.usage.audio.input_tokens",
    "video_in": "gen_ai.usage.video.input_tokens",
    "video_out": "gen_ai.usage.video.output_tokens",
    "text_out": "gen_ai.usage.text.output_tokens",
    "image_out": "gen_ai.usage.image.output_tokens",
    "audio_out": "gen_ai.usage.audio.output_tokens",
}


def counts(given, taken, total=None, read=None, written=None):
    """Return what LangChain calls usage metadata."""
    found = {"input_tokens": given, "output_tokens": taken, "total_tokens": given + taken if total is None else total}
    return {
        **found,
        **({"input_token_details": read} if read is not None else {}),
        **({"output_token_details": written} if written is not None else {}),
    }


def named(told):
    """Return the attributes that short names stand for."""
    return {NAMES[name]: count for name, count in told.items()}


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        pytest.param(counts(14, 9), {"in": 14, "out": 9}, id="mistral"),
        pytest.param(
            counts(8, 20, read={"audio": 3, "cache_read": 5}, written={"audio": 6, "reasoning": 12}),
            {"in": 8, "out": 20, "read": 5, "audio_in": 3, "reasoning": 12, "audio_out": 6},
            id="openai",
        ),
        pytest.param(
            counts(8, 20, read={"audio": 0, "cache_read": 0}, written={"audio": 0, "reasoning": 0}),
            {"in": 8, "out": 20},
            id="openai-zeros",
        ),
        pytest.param(
            counts(8, 20, read={"cache_read": 2, "cache_creation": 6}, written={"reasoning": 0}),
            {"in": 8, "out": 20, "read": 2, "write": 6, "creation": 6},
            id="openai-cache-write",
        ),
        pytest.param(
            counts(
                100,
                20,
                read={"priority": 60, "priority_cache_read": 40},
                written={"priority": 8, "priority_reasoning": 12},
            ),
            {"in": 100, "out": 20, "read": 40, "reasoning": 12},
            id="openai-priority",
        ),
        pytest.param(
            counts(1014, 9, read={"cache_read": 300, "cache_creation": 700}),
            {"in": 1014, "out": 9, "read": 300, "write": 700, "creation": 700},
            id="anthropic",
        ),
        pytest.param(
            counts(
                1014,
                9,
                read={
                    "cache_read": 300,
                    "cache_creation": 0,
                    "ephemeral_5m_input_tokens": 500,
                    "ephemeral_1h_input_tokens": 200,
                },
                written={"reasoning": 4},
            ),
            {"in": 1014, "out": 9, "read": 300, "write": 700, "creation": 700, "reasoning": 4},
            id="anthropic-by-time",
        ),
        pytest.param(
            counts(
                714,
                9,
                read={
                    "cache_creation": 700,
                    "ephemeral_5m_input_tokens": 500,
                    "ephemeral_1h_input_tokens": 200,
                },
            ),
            {"in": 714, "out": 9, "write": 700, "creation": 700},
            id="both-ways-once",
        ),
        pytest.param(
            counts(9, 30, read={"cache_read": 4}, written={"reasoning": 28}),
            {"in": 9, "out": 30, "read": 4, "reasoning": 28},
            id="gemini",
        ),
        pytest.param(
            counts(9, 2, total=39, read={"cache_read": 0}, written={"reasoning": 28}),
            {"in": 9, "out": 30, "reasoning": 28},
            id="vertex-thoughts-beside-the-output",
        ),
        pytest.param(
            counts(71, 11, read={"cache_creation": 0, "cache_read": 10, "ephemeral_5m_input_tokens": 25}),
            {"in": 71, "out": 11, "read": 10, "write": 25, "creation": 25},
            id="bedrock-converse",
        ),
        pytest.param(
            counts(50, 40, read={"text": 20, "image": 30}, written={"text": 10, "image": 30}),
            {"in": 50, "out": 40, "text_in": 20, "image_in": 30, "text_out": 10, "image_out": 30},
            id="modalities",
        ),
        pytest.param(
            counts(50, 40, read={"video": 20, "audio": 30}, written={"video": 40}),
            {"in": 50, "out": 40, "video_in": 20, "audio_in": 30, "video_out": 40},
            id="video",
        ),
        pytest.param(counts(0, 13), {"out": 13}, id="input-not-counted"),
        pytest.param(counts(13, 0), {"in": 13, "out": 0}, id="empty-answer"),
        pytest.param(counts(0, 0), {}, id="nothing-counted"),
        pytest.param(counts(0, 13, read={"cache_read": 300}), {"out": 13}, id="part-without-its-total"),
        pytest.param(counts(10, 13, read={"cache_read": 300}), {"in": 10, "out": 13}, id="part-beyond-its-total"),
        pytest.param(
            counts(10, 13, read={"cache_read": 8, "cache_creation": 7}),
            {"in": 10, "out": 13},
            id="parts-beyond-their-total",
        ),
        pytest.param(
            counts(10, 13, written={"reasoning": 300}), {"in": 10, "out": 13}, id="thoughts-beyond-the-output"
        ),
        pytest.param(
            {
                "input_tokens": -3,
                "output_tokens": 2.5,
                "input_token_details": {"cache_read": "5", "ephemeral_5m_input_tokens": None},
                "output_token_details": {"reasoning": True},
            },
            {},
            id="no-counts",
        ),
        pytest.param({"input_tokens": 2**63, "output_tokens": 2**63}, {}, id="too-large"),
        pytest.param({"input_tokens": 5}, {"in": 5}, id="half"),
    ],
)
def test_usage_metadata(metadata, told):
    """Input includes the cache, output the thoughts, parts fit into them; what was not counted is not told."""
    message = AIMessage("3")
    message.usage_metadata = metadata
    assert usage(message, None) == named(told)


def test_a_stream_is_counted_once():
    """The counts of a stream are those that LangChain adds up: Anthropic's on Bedrock come in two parts."""
    parts = [
        AIMessageChunk("", usage_metadata=counts(310, 0, read={"cache_read": 300, "cache_creation": 0})),
        AIMessageChunk("3"),
        AIMessageChunk("", usage_metadata=counts(0, 9)),
    ]
    whole = parts[0] + parts[1] + parts[2]
    assert usage(whole, None) == named({"in": 310, "out": 9, "read": 300})


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        pytest.param(
            {
                "prompt_tokens": 8,
                "completion_tokens": 20,
                "total_tokens": 28,
                "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 12, "audio_tokens": 4},
            },
            {"in": 8, "out": 20, "read": 5, "reasoning": 12, "audio_out": 4},
            id="openai",
        ),
        pytest.param(
            {
                "prompt_tokens": 8,
                "completion_tokens": 9,
                "total_tokens": 317,
                "prompt_tokens_details": {"text_tokens": 3, "image_tokens": 5},
                "completion_tokens_details": {"reasoning_tokens": 300},
            },
            {"in": 8, "out": 9, "text_in": 3, "image_in": 5},
            id="xai",
        ),
        pytest.param(
            {
                "input_tokens": 14,
                "output_tokens": 9,
                "cache_read_input_tokens": 300,
                "cache_creation_input_tokens": 700,
                "output_tokens_details": {"thinking_tokens": 4},
            },
            {"in": 1014, "out": 9, "read": 300, "write": 700, "creation": 700, "reasoning": 4},
            id="anthropic",
        ),
        pytest.param(
            {
                "inputTokens": 25,
                "outputTokens": 11,
                "totalTokens": 71,
                "cacheReadInputTokens": 10,
                "cacheWriteInputTokens": 25,
            },
            {"in": 60, "out": 11, "read": 10, "write": 25, "creation": 25},
            id="bedrock-converse",
        ),
        pytest.param(
            {"prompt_tokens": 7, "total_tokens": 10, "completion_tokens": 3}, {"in": 7, "out": 3}, id="mistral"
        ),
        pytest.param({"prompt_tokens": None, "completion_tokens": "3"}, {}, id="no-counts"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_raw_usage(raw, told):
    """What LangChain has not read is told the same way, whether it came with the message or beside it."""
    assert usage(None, {"token_usage": raw}) == named(told)
    assert usage(AIMessage("3", response_metadata={"usage": raw}), None) == named(told)


@pytest.mark.parametrize(
    ("info", "told"),
    [
        pytest.param(
            {"model": "m", "done_reason": "stop", "prompt_eval_count": 17, "eval_count": 63, "eval_duration": 9},
            {"in": 17, "out": 63},
            id="ollama",
        ),
        pytest.param({"usage_metadata": counts(11, 16)}, {"in": 11, "out": 16}, id="google-genai"),
        pytest.param(
            {"usage_metadata": counts(11, 16, written={"reasoning": 4})},
            {"in": 11, "out": 16, "reasoning": 4},
            id="google-genai-thoughts",
        ),
        pytest.param(
            {
                "usage_metadata": {
                    "prompt_token_count": 11,
                    "candidates_token_count": 12,
                    "thoughts_token_count": 4,
                    "cached_content_token_count": 8,
                    "total_token_count": 27,
                }
            },
            {"in": 11, "out": 16, "read": 8, "reasoning": 4},
            id="google-vertexai",
        ),
        pytest.param(
            {"usage_metadata": counts(40, 9, read={"cache_read": 30, "cache_creation": 0})},
            {"in": 40, "out": 9, "read": 30},
            id="bedrock",
        ),
        pytest.param(
            {"token_count": {"input_tokens": 4.0, "output_tokens": 69.0, "total_tokens": 73.0}},
            {"in": 4, "out": 69},
            id="cohere",
        ),
        pytest.param(
            {
                "completionReason": "LENGTH",
                "amazon-bedrock-invocationMetrics": {
                    "inputTokenCount": 14,
                    "outputTokenCount": 9,
                    "cacheReadInputTokenCount": 300,
                    "cacheWriteInputTokenCount": 700,
                    "invocationLatency": 20,
                },
            },
            {"in": 1014, "out": 9, "read": 300, "write": 700, "creation": 700},
            id="bedrock-streams",
        ),
        pytest.param({"token_count": {"input_tokens": 4.5, "output_tokens": float("inf")}}, {}, id="no-whole-numbers"),
        pytest.param({"usage_metadata": {}, "eval_count": 3}, {"out": 3}, id="an-empty-one-before"),
        pytest.param({"usage_metadata": None, "token_count": 5}, {}, id="nothing"),
    ],
)
def test_usage_in_other_places(info, told):
    """Counts of completion models stand in ``generation_info``, Cohere's and Ollama's with the message, too."""
    assert usage(None, None, info) == named(told)
    assert usage(AIMessage("3", response_metadata=info), {}) == named(told)


def test_parts_that_a_package_did_not_read():
    """Mistral's cached tokens are with the raw counts alone; those of other totals are not taken over."""
    raw = {"prompt_tokens": 30, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 10}}
    message = AIMessage("3", usage_metadata=counts(30, 5), response_metadata={"token_usage": raw})
    assert usage(message, None) == named({"in": 30, "out": 5, "read": 10})
    other = AIMessage("3", usage_metadata=counts(31, 5), response_metadata={"token_usage": raw})
    assert usage(other, None) == named({"in": 31, "out": 5})


@pytest.mark.parametrize(
    ("cost", "is_cached"), [(0, True), (0.0, False), (0.5, False), (None, False), ("0", False), (False, False)]
)
def test_an_answer_from_the_cache_costs_nothing(cost, is_cached):
    """LangChain marks what its cache answers with costs of the integer zero."""
    message = AIMessage("3")
    message.usage_metadata = {**counts(30, 5), "total_cost": cost}
    assert is_from_cache(message) is is_cached
    assert not is_from_cache(AIMessage("3", usage_metadata=counts(30, 5)))


def _chunks(*usages):
    return [
        ChatGenerationChunk(message=AIMessageChunk("x", usage_metadata=counts(*each) if each is not None else None))
        for each in usages
    ]


@pytest.mark.parametrize(
    ("usages", "told"),
    [
        pytest.param([(9, 1), (9, 2), (9, 3)], {"in": 9, "out": 3}, id="vllm"),
        pytest.param([None, (9, 3), None, (9, 3)], {"in": 9, "out": 3}, id="at-the-end-twice"),
        pytest.param([None, (9, 3)], {}, id="at-the-end-once"),
        pytest.param([(9, 1), (0, 2)], {}, id="anthropic"),
        pytest.param([(0, 1), (0, 2)], {}, id="no-input"),
        pytest.param([(9, 3), (9, 1)], {}, id="parts-of-the-output"),
        pytest.param([], {}, id="nothing"),
    ],
)
def test_usage_of_all_so_far_in_each_chunk(usages, told):
    """Where each chunk has the counts so far the last one's are those of the call, not their sum."""
    assert repeated_usage([*_chunks(*usages), None, "text"]) == named(told)


def test_no_usage():
    """Where nothing was counted nothing is told."""
    assert usage(None, None) == usage(AIMessage("3"), {}) == usage(None, {"token_usage": "many"}) == {}


@pytest.mark.parametrize("absurd", [2**63 - 100, 2**33, 2**70, -1, True, 2.5, float("nan"), "3", None])
def test_what_is_no_count_is_no_usage(absurd):
    """A number that no call can have used is left out, and what stands beside it is told."""
    told = usage(AIMessage("", response_metadata={"usage": {"input_tokens": absurd, "output_tokens": 2}}), None)
    assert told == {"gen_ai.usage.output_tokens": 2}


@given(st.dictionaries(st.text(max_size=20) | st.integers(), st.integers() | st.floats() | st.text() | st.just(...)))
def test_details_of_any_shape(details):
    """Whatever stands among the details, the totals are told."""
    counted = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    message = AIMessage("")
    message.usage_metadata = {**counted, "input_token_details": details, "output_token_details": details}
    assert usage(message, None) | {"gen_ai.usage.input_tokens": 3, "gen_ai.usage.output_tokens": 2} == usage(
        message, None
    )
