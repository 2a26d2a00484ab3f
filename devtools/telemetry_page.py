"""Writes docs/telemetry.md from the table of names: ``make docs``."""
# ruff: noqa: INP001  a script

from pathlib import Path
from typing import Final

from runspan.semconv import SCHEMA_URL, delivery_names, event_names, metric_names
from runspan.semconv.name_table import NAMES, Level, Name, NameKind

# Each of these enters its names into the table.
_SIGNALS: Final = (event_names, metric_names, delivery_names)
TARGET: Final = Path(__file__).parent.parent / "docs" / "telemetry.md"

_HEAD: Final = f"""\
# Telemetry

Every attribute, event and metric that runspan writes. This file is made from
`src/runspan/semconv` by `make docs`; the names under `gen_ai` are those of
`{SCHEMA_URL}`.

## Spans

| run | span | kind | operation |
| --- | --- | --- | --- |
| chat model | `chat {{model}}` | CLIENT | `chat` |
| completion model | `text_completion {{model}}` | CLIENT | `text_completion` |
| embeddings (`trace_embeddings`) | `embeddings {{model}}` | CLIENT | `embeddings` |
| tool | `execute_tool {{name}}` | INTERNAL | `execute_tool` |
| retriever | `retrieval` | CLIENT | `retrieval` |
| agent of `create_agent` | `invoke_agent {{name}}` | INTERNAL | `invoke_agent` |
| compiled graph | `invoke_workflow {{name}}`, the name only if its user gave one | INTERNAL | `invoke_workflow` |
| node, chain, prompt, parser | LangChain's name of it | INTERNAL | none |
| evaluation (`record_evaluation(..., as_span=True)`) | `evaluation {{name}}` | INTERNAL | none |

A tool links to the model that asked for it, a model to the tools whose results it reads for the first time, an attempt
to the one before it, a resumed graph to the one that was interrupted; `langchain.link.type` says which it is.

Where each chunk of a stream has the counts of all so far (vLLM's `continuous_usage_stats`), those of the last one
count; that is known by equal input in each of them. An answer from LangChain's own cache has no counts.
"""


def text() -> str:
    """Return the whole page."""
    return "\n".join(
        [
            _HEAD,
            *_section("Attributes of the conventions", _those(NameKind.ATTRIBUTE, ours=False)),
            *_section("Attributes of our own", _those(NameKind.ATTRIBUTE, ours=True)),
            *_section("Events", _those(NameKind.EVENT)),
            *_section("Metrics", _those(NameKind.METRIC)),
        ]
    )


def _those(kind: NameKind, *, ours: bool | None = None) -> list[Name]:
    # By name, as their order in the table is that in which files were imported.
    return sorted(each for each in NAMES if each.kind is kind and ours in {None, each.level is Level.OURS})


def _section(title: str, names: list[Name]) -> list[str]:
    rows = [
        f"| `{each.name}` | {each.applies_to} | {each.level} | {each.source} | {each.description} |" for each in names
    ]
    return [
        f"## {title}\n",
        "| name | on | level | source | description |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
    ]


if __name__ == "__main__":
    TARGET.write_text(text())
