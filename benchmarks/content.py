"""What content weighs in OTLP, under each choice: the tables of docs/content.md. Run by ``make content``."""

import base64
from collections.abc import Callable
from typing import Any

from langchain_core.messages import HumanMessage
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from benchmarks.workloads import Model, workloads
from runspan import OpenTelemetryCallbackHandler, Settings

IMAGE = base64.b64encode(bytes(range(256)) * 4096).decode()
# A picture of 1 MiB in the form of each provider that has one, and in LangChain's own.
BLOCKS: dict[str, dict[str, Any]] = {
    "LangChain": {"type": "image", "base64": IMAGE, "mime_type": "image/png"},
    "LangChain 0.3": {"type": "image", "source_type": "base64", "data": IMAGE, "mime_type": "image/png"},
    "OpenAI": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{IMAGE}"}},
    "OpenAI Responses": {"type": "input_image", "image_url": f"data:image/png;base64,{IMAGE}"},
    "Anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
    "Google": {"type": "media", "mime_type": "image/png", "data": IMAGE},
    "Bedrock": {"type": "image", "image": {"format": "png", "source": {"bytes": base64.b64decode(IMAGE)}}},
    "audio": {"type": "input_audio", "input_audio": {"data": IMAGE, "format": "wav"}},
    "file": {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{IMAGE}"}},
}


def weigh(invoke: Callable[[dict[str, Any]], Any], **settings: Any) -> tuple[int, int]:
    """Return the spans of an invocation, and their bytes in OTLP."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    handler = OpenTelemetryCallbackHandler(tracer_provider=provider, settings=Settings(**settings))
    invoke({"callbacks": [handler]})
    spans = kept.get_finished_spans()
    return len(spans), encode_spans(spans).ByteSize()


def main() -> None:
    """Print the tables."""
    made = workloads()
    print("| a 1 MB image, as a block of | bytes |\n| --- | --- |")
    for name, block in BLOCKS.items():
        messages = [HumanMessage([block])]
        _, size = weigh(lambda config, messages=messages: Model().invoke(messages, config))
        print(f"| {name} | {size:,} |")
    agent = made["agent of 20 turns"].invoke
    print("\n| an agent of 20 turns, replies of 1,000 characters | spans | bytes |\n| --- | --- | --- |")
    for settings in ({"history": "full"}, {"history": "new"}, {"capture_content": "none"}):
        spans, size = weigh(agent, **settings)
        print(f"| `{next(iter(settings))}={next(iter(settings.values()))!r}` | {spans} | {size:,} |".replace("'", '"'))
    graph = made["100 KB state, 20 nodes"].invoke
    print("\n| a graph of 20 nodes, a state of 100 KB | spans | bytes |\n| --- | --- | --- |")
    for chains in ("none", "root", "all"):
        spans, size = weigh(graph, capture_chains=chains)
        print(f'| `capture_chains="{chains}"` | {spans} | {size:,} |')


if __name__ == "__main__":
    main()
