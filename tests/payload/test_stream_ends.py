"""What a stream says at its end, once or more than once."""

import json

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk

from runspan.payload.response import said_last
from tests.fakes import Model


def chunk(text, **said):
    return ChatGenerationChunk(message=AIMessageChunk(text, response_metadata=said), generation_info=said or None)


LAST = {
    "finish_reason": "stop",
    "model_name": "gpt-5",
    "system_fingerprint": "fp_1",
    "service_tier": "default",
    "model_provider": "openai",
}


@pytest.mark.parametrize(
    ("chunks", "told"),
    [
        pytest.param([chunk("3"), chunk("", **LAST)], {}, id="once"),
        pytest.param(
            [chunk("3", **LAST), chunk("", **LAST), None, chunk("")],
            {
                "gen_ai.response.finish_reasons": ["stop"],
                "gen_ai.response.model": "gpt-5",
                "openai.response.system_fingerprint": "fp_1",
                "openai.response.service_tier": "default",
            },
            id="twice",
        ),
        pytest.param(
            [chunk("3", finish_reason="STOP", model_name="gemini"), chunk("4", finish_reason="MAX_TOKENS")],
            {"gen_ai.response.finish_reasons": ["MAX_TOKENS"]},
            id="google-in-each",
        ),
        pytest.param(
            [GenerationChunk(text=text, generation_info={"finish_reason": "length"}) for text in "ab"],
            {"gen_ai.response.finish_reasons": ["length"]},
            id="completion",
        ),
        pytest.param([chunk("3"), "text", None], {}, id="no-reason"),
        pytest.param([], {}, id="no-chunks"),
    ],
)
def test_the_last_word_of_a_stream_counts(chunks, told):
    """Where several chunks end a stream, LangChain joins their words: those of the last one are told."""
    joined = "".join(each.generation_info["finish_reason"] for each in chunks if getattr(each, "generation_info", None))
    assert said_last(chunks, [joined]) == told


class EndsTwice(Model):
    """A model whose provider says twice that a stream is at its end."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        yield from (chunk("a"), chunk("b", **LAST), chunk("", **LAST))


@pytest.mark.parametrize("way", ["stream", "invoke"])
def test_a_stream_that_ends_twice(tracing, way):
    """Reason, model, tier and fingerprint stand once on the span, also where LangChain streams for an invocation."""
    if way == "stream":
        list(EndsTwice().stream("q", tracing.config))
    else:
        EndsTwice().invoke("q", tracing.config, stream=True)
    attributes = tracing.one("chat").attributes
    assert attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert attributes["gen_ai.response.model"] == "gpt-5"
    assert attributes["openai.response.service_tier"] == "default"
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    assert message["finish_reason"] == "stop"
