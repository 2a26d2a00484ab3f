"""What is known when a chain, prompt, parser, graph or node starts."""

from collections.abc import Mapping
from typing import Any, Final

from runspan import semconv
from runspan.payload.start import Kind, Start, serialized_name
from runspan.payload.text import text_in

_CHAIN_KINDS: Final = {"prompt": Kind.PROMPT, "parser": Kind.PARSER}


def chain_start(serialized: Mapping[str, Any] | None, run_name: str | None, run_type: str | None) -> Start:
    """Start a chain, prompt or parser; it has no operation of the conventions, so no attribute of theirs."""
    kind_name = text_in(run_type)
    kind = _CHAIN_KINDS.get(kind_name or "", Kind.CHAIN)
    name = text_in(run_name) or serialized_name(serialized) or kind_name or "chain"
    return Start(kind, name, {semconv.RUN_TYPE: str(kind)})
