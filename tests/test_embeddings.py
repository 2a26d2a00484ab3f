"""Embeddings that are traced."""

import asyncio
import copy
import pickle
import threading

import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import InMemoryVectorStore
from opentelemetry import context as otel
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import SpanKind, StatusCode

from runspan import Settings
from runspan._guard import faults
from runspan.langchain.embeddings import trace_embeddings
from tests.fakes import PlainEmbeddings
from tests.tracing import SlowSampler, current_name


class OpenAIEmbeddings(Embeddings):
    """Embeddings as a package of LangChain's has them, without its service."""

    __module__ = "langchain_openai.embeddings.base"

    def __init__(self, model: str | None = "text-embedding-3-small") -> None:
        self.model = model
        self.current: list = []

    def embed_documents(self, texts):
        self.current.append(current_name())
        return [[0.5, 1.0, 1.5] for _ in texts]

    def embed_query(self, text):
        self.current.append(current_name())
        return [0.5, 1.0, 1.5]


class UsersEmbeddings(OpenAIEmbeddings):
    """A class of a user's on top of it, async in its own way."""

    async def aembed_query(self, text):
        self.current.append(current_name())
        await asyncio.sleep(0)
        return [1.0]


class Failing(Embeddings):
    """Embeddings of a user's that fail."""

    def embed_documents(self, texts):
        raise ConnectionError("secret")

    def embed_query(self, text):
        raise ConnectionError("secret")

    async def aembed_query(self, text):
        raise asyncio.CancelledError


class Odd(PlainEmbeddings):
    """Embeddings whose attributes can't be read, and that return what they should not."""

    deployment = "ours"

    @property
    def model(self):
        raise RuntimeError("not configured")

    def embed_query(self, text):
        return None


DOCUMENTS_SPAN = {
    "gen_ai.operation.name": "embeddings",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "text-embedding-3-small",
    "langchain.embeddings.inputs": 2,
    "gen_ai.embeddings.dimension.count": 3,
}


@pytest.mark.parametrize("kind", [OpenAIEmbeddings, UsersEmbeddings])
def test_a_call(tracing, kind):
    """A call is a CLIENT span below what is current, current itself within the call; it says what the call was."""
    wrapped = kind()
    traced = trace_embeddings(wrapped, tracer_provider=tracing.provider)
    with tracing.span("caller"):
        assert traced.embed_documents(["a", "b"]) == [[0.5, 1.0, 1.5]] * 2
        assert traced.embed_query("a") == [0.5, 1.0, 1.5]
    span = "embeddings text-embedding-3-small"
    assert tracing.text() == f"caller\n  {span}\n  {span}"
    assert [dict(each.attributes) for each in tracing.named(span)] == [
        DOCUMENTS_SPAN,
        DOCUMENTS_SPAN | {"langchain.embeddings.inputs": 1},
    ]
    assert {(each.kind, each.status.status_code) for each in tracing.named(span)} == {
        (SpanKind.CLIENT, StatusCode.UNSET)
    }
    assert wrapped.current == [span, span]


async def test_an_async_call(tracing):
    """Async calls are spans, too, whether the object has async code of its own or LangChain runs it in a thread."""
    for wrapped, vector in ((OpenAIEmbeddings(), [0.5, 1.0, 1.5]), (UsersEmbeddings(), [1.0])):
        traced = trace_embeddings(wrapped, tracer_provider=tracing.provider)
        with tracing.span("caller"):
            found = await asyncio.gather(traced.aembed_query("a"), traced.aembed_documents(["a", "b"]))
        assert found == [vector, [[0.5, 1.0, 1.5]] * 2]
        assert wrapped.current == ["embeddings text-embedding-3-small"] * 2
        assert current_name() is None
    one = "caller\n" + 2 * "  embeddings text-embedding-3-small\n"
    assert tracing.text() == (one + one).strip()


def test_an_error(tracing):
    """An error reaches the caller, and is on the span: status, type, no event of it."""
    traced = trace_embeddings(Failing(), tracer_provider=tracing.provider)
    with pytest.raises(ConnectionError):
        traced.embed_query("a")
    span = tracing.one("embeddings")
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "secret")
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "embeddings",
        "langchain.embeddings.inputs": 1,
        "error.type": "ConnectionError",
    }
    assert span.events == ()


def test_an_error_without_content(tracing):
    """Where content may not be recorded, an error's text is not."""
    settings = Settings(capture_content="none")
    traced = trace_embeddings(Failing(), tracer_provider=tracing.provider, settings=settings)
    with pytest.raises(ConnectionError):
        traced.embed_documents(["a"])
    assert tracing.one("embeddings").status.description is None


async def test_a_cancelled_call(tracing):
    """A cancelled call is no error; its outcome is noted."""
    traced = trace_embeddings(Failing(), tracer_provider=tracing.provider)
    with pytest.raises(asyncio.CancelledError):
        await traced.aembed_query("a")
    span = tracing.one("embeddings")
    assert (span.status.status_code, span.attributes["langchain.run.outcome"]) == (StatusCode.UNSET, "cancelled")


def test_metrics(tracing):
    """Each call is measured, by model and error."""
    reader = InMemoryMetricReader()
    providers = {
        "tracer_provider": tracing.provider,
        "meter_provider": MeterProvider([reader], shutdown_on_exit=False),
    }
    traced = trace_embeddings(OpenAIEmbeddings(), **providers)
    traced.embed_query("a")
    traced.embed_documents([])
    with pytest.raises(ConnectionError):
        trace_embeddings(Failing(), **providers).embed_query("a")
    (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert metric.name == "gen_ai.client.embeddings.duration"
    assert [(dict(point.attributes), point.count) for point in metric.data.data_points] == [
        (
            {
                "gen_ai.operation.name": "embeddings",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "text-embedding-3-small",
            },
            2,
        ),
        ({"gen_ai.operation.name": "embeddings", "error.type": "ConnectionError"}, 1),
    ]


def test_the_measured_duration_is_within_the_span(tracing):
    """A sampler that takes its time before the span starts is not measured."""
    tracing.provider.sampler = SlowSampler()
    reader = InMemoryMetricReader()
    meters = MeterProvider([reader], shutdown_on_exit=False)
    trace_embeddings(OpenAIEmbeddings(), tracer_provider=tracing.provider, meter_provider=meters).embed_query("a")
    (metric,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    (span,) = tracing.spans
    assert metric.data.data_points[0].sum <= (span.end_time - span.start_time) / 1e9


class Shop(BaseRetriever):
    """A retriever that searches by a vector."""

    embeddings: Embeddings

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document(str(self.embeddings.embed_query(query)))]


def test_a_retriever(tracing):
    """LangChain takes the traced embeddings as it takes the others; their span is below the retriever's."""
    shop = Shop(embeddings=trace_embeddings(PlainEmbeddings(), tracer_provider=tracing.provider))
    assert shop.invoke("tea", tracing.config) == [Document("[0.5]")]
    assert tracing.text() == "retrieval\n  embeddings"


def test_it_stands_for_the_object(tracing):
    """Attributes are those of the object, its copy is traced, and what is traced is not traced twice."""
    wrapped = OpenAIEmbeddings()
    traced = trace_embeddings(wrapped, tracer_provider=tracing.provider)
    assert isinstance(traced, Embeddings)
    assert traced.model == "text-embedding-3-small"
    assert traced.current is wrapped.current
    assert trace_embeddings(traced) is traced
    for copied in (copy.copy(traced), copy.deepcopy(traced)):
        copied.embed_query("a")
        assert type(copied).__name__ == "OpenAIEmbeddings"
    assert len(tracing.spans) == 2
    with pytest.raises(AttributeError, match="'OpenAIEmbeddings' object has no attribute 'nothing'"):
        _ = traced.nothing


def test_the_copy_of_a_pydantic_model_is_traced(tracing):
    """Such embeddings copy themselves, by a method that their traced ones must not take over; pickled, too."""
    traced = trace_embeddings(DeterministicFakeEmbedding(size=2), tracer_provider=tracing.provider)
    copied = copy.deepcopy(traced)
    assert len(copied.embed_query("a")) == copied.size == 2
    assert len(tracing.spans) == 1
    stored = pickle.dumps(trace_embeddings(DeterministicFakeEmbedding(size=2)))
    assert pickle.loads(stored).size == 2  # noqa: S301  it is our own


def test_a_retriever_names_the_provider_of_traced_embeddings(tracing):
    """LangChain tells the class of a retriever's embeddings, also as a tag: that of those that are traced."""
    found = []
    for embeddings in (OpenAIEmbeddings(), trace_embeddings(OpenAIEmbeddings(), tracer_provider=tracing.provider)):
        InMemoryVectorStore(embeddings).as_retriever().invoke("a", tracing.config)
        attributes = tracing.named("retrieval")[-1].attributes
        found.append((attributes.get("gen_ai.provider.name"), attributes["langchain.tags"]))
    assert found == [("openai", ("InMemoryVectorStore", "OpenAIEmbeddings"))] * 2


@pytest.mark.parametrize("wrong", [None, "text-embedding-3-small", OpenAIEmbeddings], ids=repr)
def test_what_is_no_embeddings(wrong):
    """A wrong value is named."""
    with pytest.raises(TypeError, match=r"trace_embeddings\(\) was given .*, which is no"):
        trace_embeddings(wrong)


@pytest.mark.parametrize(
    ("module", "name", "provider"),
    [
        ("langchain_openai.embeddings.azure", "AzureOpenAIEmbeddings", "azure.ai.openai"),
        ("langchain_aws.embeddings.bedrock", "BedrockEmbeddings", "aws.bedrock"),
        ("langchain_google_genai.embeddings", "GoogleGenerativeAIEmbeddings", "gcp.gen_ai"),
        ("langchain_google_vertexai.embeddings", "VertexAIEmbeddings", "gcp.vertex_ai"),
        ("langchain_mistralai.embeddings", "MistralAIEmbeddings", "mistral_ai"),
        ("langchain_ibm.embeddings", "WatsonxEmbeddings", "ibm.watsonx.ai"),
        ("langchain_azure_ai.embeddings.inference", "AzureAIEmbeddingsModel", "azure.ai.inference"),
        ("langchain_ollama.embeddings", "OllamaEmbeddings", "ollama"),
        ("langchain_huggingface.embeddings.huggingface_endpoint", "HuggingFaceEndpointEmbeddings", "huggingface"),
        ("langchain_community.embeddings.cohere", "CohereEmbeddings", "cohere"),
        ("langchain_classic.embeddings.cache", "CacheBackedEmbeddings", None),
        ("app.embeddings", "OwnEmbeddings", None),
    ],
)
def test_providers(tracing, module, name, provider):
    """The provider is told by the class that a package of LangChain's has, in the words of the conventions."""
    kind = type(name, (PlainEmbeddings,), {"__module__": module})
    trace_embeddings(kind(), tracer_provider=tracing.provider).embed_query("a")
    assert tracing.spans[0].attributes.get("gen_ai.provider.name") == provider


def test_odd_embeddings(tracing):
    """What can't be read is left out; the call goes on as it would without tracing."""
    before = faults()
    assert trace_embeddings(Odd(), tracer_provider=tracing.provider).embed_query("a") is None
    assert dict(tracing.one("embeddings ours").attributes) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.request.model": "ours",
        "langchain.embeddings.inputs": 1,
    }
    assert faults() == before + 2


def test_threads(tracing):
    """One object serves many threads."""
    traced = trace_embeddings(PlainEmbeddings(), tracer_provider=tracing.provider)
    threads = [threading.Thread(target=traced.embed_query, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [span.name for span in tracing.spans] == ["embeddings"] * 8


def test_without_a_provider(quiet):
    """Where no provider is set, a call is what it is without tracing."""
    assert trace_embeddings(PlainEmbeddings()).embed_query("a") == [0.5]
    assert current_name() is None


def test_where_instrumentation_is_suppressed(tracing):
    """No span is made where the context says that none is wanted; the vectors come all the same."""
    traced = trace_embeddings(OpenAIEmbeddings(), tracer_provider=tracing.provider)
    token = otel.attach(otel.set_value("suppress_instrumentation", True))
    assert traced.embed_query("x")
    otel.detach(token)
    assert tracing.spans == ()
    assert traced.embed_query("x")
    assert len(tracing.spans) == 1


def test_odd_texts_and_names_do_not_reach_the_application():
    """Texts and a model's name whose own code fails cost nothing but what would have been said of them."""

    class Rude:
        @property
        def __class__(self):
            raise RuntimeError

    class Named(PlainEmbeddings):
        model = Rude()

        def embed_documents(self, texts):
            return [[1.0]]

    assert trace_embeddings(Named()).embed_documents(Rude()) == [[1.0]]


def test_the_server_of_embeddings(tracing):
    """Address and port are those of the URL that the embeddings were given."""

    class Served(OpenAIEmbeddings):
        def __init__(self) -> None:
            super().__init__()
            self.openai_api_base = "https://models.example.com/v1"

    trace_embeddings(Served(), tracer_provider=tracing.provider).embed_query("x")
    attributes = tracing.spans[-1].attributes
    assert (attributes["server.address"], attributes["server.port"]) == ("models.example.com", 443)
