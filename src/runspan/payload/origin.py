"""Where a run belongs."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from runspan import semconv
from runspan.payload.content import Attributes, is_int64
from runspan.payload.text import describe, text_at


def origin(run_id: UUID, metadata: Mapping[str, Any] | None, tags: Sequence[str] | None) -> Attributes:
    """Return where a run belongs: its id, its tags, and the node and step of the graph that it runs in."""
    attributes: Attributes = {semconv.RUN_ID: str(run_id)}
    if tags:
        attributes[semconv.TAGS] = list(map(describe, tags))
    if metadata and "langgraph_node" in metadata:
        if node := text_at(metadata, "langgraph_node"):
            attributes[semconv.GRAPH_NODE] = node
        if is_int64(step := metadata.get("langgraph_step")):
            attributes[semconv.GRAPH_STEP] = step
    return attributes
