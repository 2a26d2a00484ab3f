"""Values of ``gen_ai.operation.name``."""

from typing import Final

MODEL_OPERATIONS: Final = ("chat", "text_completion", "generate_content")
"""Those of a call of a model that generates."""
