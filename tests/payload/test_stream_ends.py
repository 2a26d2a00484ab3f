"""What a stream says at its end, once or more than once."""

import json

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk

from runspan.payload.graph_state import state_outputs
from runspan.payload.response import said_last
from tests.fakes import ASKED, Model


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


class FailsAfterItsEnd(EndsTwice):
    """The same, whose connection breaks then."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        yield from super()._stream(messages)
        raise ConnectionError("broken")


def reasons(span):
    """Return why a span's answer ended, as the span and as the message says it."""
    (message,) = json.loads(span.attributes["gen_ai.output.messages"])
    return span.attributes.get("gen_ai.response.finish_reasons"), message["finish_reason"]


def left(stream):
    """Read a stream until its provider has said twice that it ends."""
    for _ in range(3):
        next(stream)
    stream.close()


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


def test_a_stream_that_is_left_or_fails_after_it_ended_twice(tracing):
    """The reason stands once there, too."""
    left(EndsTwice().stream("q", tracing.config))
    with pytest.raises(ConnectionError):
        list(FailsAfterItsEnd().stream("q", tracing.config))
    assert [reasons(span) for span in tracing.named("chat")] == [(("stop",), "stop")] * 2


@pytest.mark.parametrize("mode", ["messages", "values"])
def test_an_agent_whose_model_ends_twice(tracing, mode):
    """The answer of the agent ended for the reason that its model names, which stands once."""
    agent = create_agent(EndsTwice(), [])
    list(agent.stream(ASKED, tracing.config, stream_mode=mode))
    agent.invoke(ASKED, tracing.config)
    assert {reasons(span)[1] for span in tracing.spans if "gen_ai.output.messages" in span.attributes} == {"stop"}


@pytest.mark.parametrize(
    ("said", "told"), [("stopstopstop", "stop"), ("tool_callstool_calls", "tool_calls"), ("stop", "stop"), ("aa", "aa")]
)
def test_the_reason_in_a_state(said, told):
    """The last message of a state may have the word more than once."""
    state = {"messages": [AIMessage("a", response_metadata={"finish_reason": said})]}
    (message,) = json.loads(state_outputs(state)["gen_ai.output.messages"])
    assert message["finish_reason"] == told
