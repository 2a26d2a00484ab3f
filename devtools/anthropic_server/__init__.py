"""A local server that speaks Anthropic's Messages API, for the examples and the tests.

It is no part of the package; the extra `demo` installs what it imports.
"""

from devtools.anthropic_server.anthropic_server import (
    Answer,
    AnthropicServer,
    Failure,
    ReceivedRequest,
    Script,
    ToolUse,
    Usage,
)

__all__ = ["Answer", "AnthropicServer", "Failure", "ReceivedRequest", "Script", "ToolUse", "Usage"]
