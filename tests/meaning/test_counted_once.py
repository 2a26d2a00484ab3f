"""What was used is counted once: answers of LangChain's cache, streams that repeat their counts."""

import pytest
from langchain.agents import create_agent
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from runspan import OpenTelemetryCallbackHandler
from tests.fakes import ASKED, USAGE, Model


@pytest.mark.newest  # the cache of older LangChain misses messages of other ids
def test_an_answer_of_the_cache_uses_nothing(tracing):
    """An answer from LangChain's cache says so; no span, sum or metric counts its tokens again."""
    reader = InMemoryMetricReader()
    handler = OpenTelemetryCallbackHandler(tracer_provider=tracing.provider, meter_provider=MeterProvider([reader]))
    agent = create_agent(Model(usage=USAGE, cache=InMemoryCache()), [], name="helper")
    for _ in range(2):
        agent.invoke(ASKED, {"callbacks": [handler]})
    first, second = (dict(span.attributes) for span in tracing.named("chat"))
    assert first["gen_ai.usage.input_tokens"] == USAGE["input_tokens"]
    assert "langchain.response.from_cache" not in first
    assert second["langchain.response.from_cache"] is True
    assert not [name for name in second if name.startswith("gen_ai.usage.")]
    sums = [span.attributes.get("langchain.subtree.input_tokens") for span in tracing.named("invoke_agent helper")]
    assert sums == [USAGE["input_tokens"], None]
    (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
    (used,) = (each for each in scope.metrics if each.name == "gen_ai.client.inference.usage.input_tokens")
    assert [point.value for point in used.data.data_points] == [USAGE["input_tokens"]]


class Repeats(Model):
    """A model that sends the counts so far with each chunk, as vLLM does on request."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for count in (1, 2, 3):
            usage = {"input_tokens": 9, "output_tokens": count, "total_tokens": 9 + count}
            yield ChatGenerationChunk(message=AIMessageChunk("x", usage_metadata=usage))


def test_a_stream_that_repeats_its_counts(tracing):
    """LangChain adds the counts of all chunks up; the span has those of the call."""
    for _ in Repeats().stream("?", tracing.config):
        pass
    attributes = tracing.one("chat").attributes
    counts = attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"]
    assert counts == (9, 3)


@pytest.mark.parametrize(("provider", "tier"), [("anthropic", "priority"), ("openai", None)])
def test_the_tier_that_served_is_anthropics(tracing, provider, tier):
    """The service tier in the raw usage is that of Anthropic's API."""
    metadata = {"model_provider": provider, "usage": {"service_tier": "priority"}}
    Model(answer=AIMessage("three", response_metadata=metadata)).invoke("?", tracing.config)
    assert tracing.one("chat").attributes.get("anthropic.response.service_tier") == tier
