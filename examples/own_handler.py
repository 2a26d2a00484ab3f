"""A callback handler of your own, driven by spans: of LangChain's runs, and of a recording of them afterwards.

pip install 'runspan[demo]'
python examples/own_handler.py
"""

import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import runspan

sys.path.insert(0, str(Path(__file__).parent.parent))
from devtools.anthropic_server import AnthropicServer


class TokenCounter(BaseCallbackHandler):
    """Counts what models use, call by call."""

    def __init__(self, name: str) -> None:
        self.name = name

    def on_chat_model_start(
        self, serialized: dict[str, Any], messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Say what is asked."""
        print(f"{self.name}: asked {messages[0][-1].text!r}")

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Say what it took."""
        usage = response.generations[0][0].message.usage_metadata
        print(f"{self.name}: {usage['input_tokens']} in, {usage['output_tokens']} out")


def main() -> None:
    """Have one handler hear a run as it happens, another what was recorded of it."""
    recording = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(recording))
    provider.add_span_processor(runspan.CallbackSpanProcessor([TokenCounter("live")]))
    with AnthropicServer() as server:
        model = ChatAnthropic(model="claude-sonnet-5", base_url=server.url, api_key="none needed")
        handler = runspan.OpenTelemetryCallbackHandler(tracer_provider=provider)
        model.invoke("What is 1 + 2?", config={"callbacks": [handler]})
    runspan.replay(recording.get_finished_spans(), callbacks=[TokenCounter("recorded")])


if __name__ == "__main__":
    main()
