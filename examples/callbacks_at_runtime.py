"""A chain of a prompt and a model; a handler passed at runtime traces it, and drives a handler that logs it.

    python examples/callbacks_at_runtime.py [invoke | stream | ainvoke | astream]

Without keys it calls a local server that speaks Anthropic's Messages API. With ANTHROPIC_API_KEY and
RUNSPAN_DEMO_MODEL set it calls the real service, where the model named below has reached its end of life.
The trace goes to the terminal and, if OTEL_EXPORTER_OTLP_ENDPOINT is set, to that endpoint.
"""

import asyncio
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig
from opentelemetry.instrumentation.httpx import HTTPX2ClientInstrumentor

import runspan

sys.path.insert(0, str(Path(__file__).parent.parent))
from devtools.anthropic_server import AnthropicServer

MODEL = "claude-3-sonnet-20240229"
QUESTION = {"number": "2"}


class LoggingHandler(BaseCallbackHandler):
    """A handler as users write them."""

    def on_chat_model_start(self, serialized: dict[str, Any], messages: list[list[BaseMessage]], **kwargs: Any) -> None:
        """Say that a model starts."""
        print("Chat model started")

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Say what a model answered."""
        print(f"Chat model ended, response: {response}")

    def on_chain_start(self, serialized: dict[str, Any], inputs: dict[str, Any], **kwargs: Any) -> None:
        """Say that a chain starts."""
        print(f"Chain {serialized.get('name')} started")

    def on_chain_end(self, outputs: dict[str, Any], **kwargs: Any) -> None:
        """Say what a chain gave."""
        print(f"Chain ended, outputs: {outputs}")


def is_real() -> bool:
    """Return whether the environment names a key and a model of the real service."""
    return bool(os.environ.get("ANTHROPIC_API_KEY") and os.environ.get("RUNSPAN_DEMO_MODEL"))


def make_chain(server: AnthropicServer | None) -> Runnable[Any, Any]:
    """Return the chain, on the local server if there is one."""
    prompt = ChatPromptTemplate.from_template("What is 1 + {number}?")
    if server is None:
        return prompt | ChatAnthropic(model=os.environ["RUNSPAN_DEMO_MODEL"])
    return prompt | ChatAnthropic(model=MODEL, base_url=server.url, api_key="none needed")


def call(chain: Runnable[Any, Any], way: str, config: RunnableConfig) -> None:
    """Ask once, the way that is named."""

    async def astream() -> None:
        async for _ in chain.astream(QUESTION, config):
            pass

    if way == "invoke":
        chain.invoke(QUESTION, config=config)
    elif way == "stream":
        list(chain.stream(QUESTION, config=config))
    else:
        asyncio.run(astream() if way == "astream" else chain.ainvoke(QUESTION, config=config))


def main(way: str = "invoke") -> None:
    """Trace into the terminal, and to an endpoint if the environment names one."""
    with (
        runspan.configure(service_name="runspan-demo", console=True),
        nullcontext() if is_real() else AnthropicServer() as server,
    ):
        HTTPX2ClientInstrumentor().instrument()
        handler = runspan.OpenTelemetryCallbackHandler(callbacks=[LoggingHandler()])
        call(make_chain(server), way, {"callbacks": [handler]})


if __name__ == "__main__":
    main(*sys.argv[1:])
