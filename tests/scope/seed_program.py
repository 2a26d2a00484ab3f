"""The client's program: a prompt and a model, and a handler that logs, driven the way that the argument names."""

import sys

from langchain_anthropic import ChatAnthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.prompts import ChatPromptTemplate
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

import runspan
from devtools.anthropic_server import AnthropicServer


class LoggingHandler(BaseCallbackHandler):
    """The client's, word for word in what it prints."""

    def on_chat_model_start(self, serialized, messages, **kwargs):
        print("Chat model started")

    def on_llm_end(self, response, **kwargs):
        print(f"Chat model ended, response: {response}")

    def on_chain_start(self, serialized, inputs, **kwargs):
        print(f"Chain {serialized.get('name')} started")

    def on_chain_end(self, outputs, **kwargs):
        print(f"Chain ended, outputs: {outputs}")


class DrivenByLangChain(LoggingHandler):
    """The same, but for where it finds the name, which LangChain no longer puts into ``serialized``; to stderr."""

    def on_chat_model_start(self, serialized, messages, **kwargs):
        print("Chat model started", file=sys.stderr)

    def on_llm_end(self, response, **kwargs):
        print(f"Chat model ended, response: {response}", file=sys.stderr)

    def on_chain_start(self, serialized, inputs, **kwargs):
        print(f"Chain {kwargs['name']} started", file=sys.stderr)

    def on_chain_end(self, outputs, **kwargs):
        print(f"Chain ended, outputs: {outputs}", file=sys.stderr)


def handlers(way):
    """Return what to pass at runtime."""
    if way == "handler":
        return [runspan.OpenTelemetryCallbackHandler(callbacks=[LoggingHandler()])]
    provider = TracerProvider()
    trace.set_tracer_provider(provider)
    provider.add_span_processor(runspan.CallbackSpanProcessor([LoggingHandler()]))
    return [runspan.OpenTelemetryCallbackHandler()]


def main(way):
    """Ask once."""
    with AnthropicServer() as server:
        model = ChatAnthropic(model="claude-3-sonnet-20240229", base_url=server.url, api_key="none")
        chain = ChatPromptTemplate.from_template("What is 1 + {number}?") | model
        chain.invoke({"number": "2"}, config={"callbacks": [DrivenByLangChain(), *handlers(way)]})


if __name__ == "__main__":
    main(*sys.argv[1:])
