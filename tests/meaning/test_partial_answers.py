"""What a model answered before its call failed or its stream was left."""

import asyncio
import json

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk, Generation, GenerationChunk, LLMResult

from runspan import Settings
from runspan.payload.response import came_before_failure
from tests.fakes import Model, SyncModel
from tests.tracing import Tracing
from tests.waiting import hang


class RefusedError(Exception):
    """An error as clients of providers raise it: LangChain reads the HTTP response of it."""

    request_id = "req_1"

    class response:  # noqa: N801  an attribute of the error
        """An HTTP response."""

        status_code = 429
        headers = {"retry-after": "1"}  # noqa: RUF012  it is only read
        text = "slow down"

        @staticmethod
        def json():
            return {"error": {"message": "slow down"}}


class Fails(Model):
    """A model that fails after some chunks."""

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in self._stream(messages):
            yield chunk

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in self.answer:
            yield ChatGenerationChunk(message=AIMessageChunk(chunk))
        raise RefusedError


class Whole(Model):
    """A model whose last chunk is not marked, and says nothing of why it ended."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in self.answer:
            yield ChatGenerationChunk(message=AIMessageChunk(chunk))


def said(tracing):
    """Return the text of the answer on the only model's span, None if there is no message."""
    (span,) = (each for each in tracing.spans if each.name == "chat")
    messages = span.attributes.get("gen_ai.output.messages")
    return None if messages is None else [part["content"] for each in json.loads(messages) for part in each["parts"]]


def test_why_a_stream_ended(tracing):
    """The message of a stream that failed ends in an error; that of a whole one does not, also if nothing says why."""
    with pytest.raises(RefusedError):
        list(Fails(answer=("a", "b")).stream("?", tracing.config))
    list(Whole(answer=("a", "b")).stream("?", tracing.config))
    messages = [json.loads(span.attributes["gen_ai.output.messages"])[0] for span in tracing.named("chat")]
    assert [message["finish_reason"] for message in messages] == ["error", "stop"]


def test_a_call_that_failed_has_no_answer(tracing):
    """LangChain's empty message with the HTTP response of a refused call is no answer."""
    with pytest.raises(RefusedError):
        SyncModel(answer=RefusedError()).invoke("?", tracing.config)
    assert said(tracing) is None
    assert tracing.one("chat").attributes["error.type"].endswith("RefusedError")


@pytest.mark.parametrize(("chunks", "text"), [((), None), (("",), None), (("a", "b"), ["ab"])])
def test_a_stream_that_failed_has_what_came(tracing, chunks, text):
    """What had come when a stream failed is its answer; where that is nothing there is no message."""
    with pytest.raises(RefusedError):
        list(Fails(answer=chunks).stream("?", tracing.config))
    assert said(tracing) == text


@pytest.mark.parametrize("seen", [1, 2, 5])
async def test_every_chunk_before_a_stream_was_left(tracing, seen):
    """Of a stream whose events are left in the midst of a chunk, that chunk is in the answer, too."""

    class Slow(Model):
        async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
            for _ in range(seen):
                await asyncio.sleep(0)
                yield ChatGenerationChunk(message=AIMessageChunk("x"))
            await hang()

    events = Slow().astream_events("?", tracing.config, version="v2")
    count = 0
    async for event in events:
        count += event["event"] == "on_chat_model_stream"
        if count == seen:
            break
    await events.aclose()
    tracing.settle()
    assert said(tracing) == ["x" * seen]
    assert tracing.one("chat").attributes["langchain.stream.chunks"] == seen


def test_without_content_there_is_no_partial_answer():
    """Where no content is recorded, neither is what had come."""
    tracing = Tracing(Settings(capture_content="none"))
    with pytest.raises(RefusedError):
        list(Fails(answer=("a",)).stream("?", tracing.config))
    assert said(tracing) is None


def test_a_completion_that_came_is_an_answer():
    """Completion models' texts have no message to look into."""
    whole = LLMResult(generations=[[Generation(text="a"), GenerationChunk(text="")], []])
    assert came_before_failure(whole).generations == whole.generations[:1]
    assert came_before_failure(LLMResult(generations=[[]])) is None
