"""The dictionaries that messages are made of."""

from typing import Any

MessageDict = dict[str, Any]
"""A message in the form of the GenAI conventions: ``role``, ``parts``, perhaps ``name`` and ``finish_reason``."""
MessagePart = dict[str, Any]
"""A part of such a message: ``type``, and what that type has."""
ContentBlock = dict[Any, Any]
"""A block of the content of LangChain's messages, in LangChain's own form or a provider's."""
