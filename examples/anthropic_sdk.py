"""Anthropic's SDK without LangChain: it traces itself, and a LangChain callback handler hears its calls.

pip install 'runspan[demo]'
python examples/anthropic_sdk.py
"""

import sys
from pathlib import Path
from typing import Any

import anthropic
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.outputs import LLMResult

import runspan

sys.path.insert(0, str(Path(__file__).parent.parent))
from devtools.anthropic_server import AnthropicServer


class LoggingHandler(BaseCallbackHandler):
    """A handler as users write them."""

    def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Say what a call took; the SDK's span has no content."""
        usage = response.generations[0][0].message.usage_metadata
        print(f"Chat model ended: {usage['input_tokens']} in, {usage['output_tokens']} out")


def main() -> None:
    """Ask once; the trace goes to the terminal."""
    with runspan.configure(service_name="anthropic-sdk", console=True), AnthropicServer() as server:
        client = anthropic.Anthropic(base_url=server.url, api_key="none needed")
        with runspan.invocation(callbacks=[LoggingHandler()]):
            client.messages.create(
                model="claude-sonnet-5", max_tokens=100, messages=[{"role": "user", "content": "What is 1 + 2?"}]
            )


if __name__ == "__main__":
    main()
