"""The Python of a page, as code that knows the lines of the page."""

from pathlib import Path
from types import CodeType

ROOT = Path(__file__).parents[2]


def code_blocks(page: str, **replaced: str) -> list[CodeType]:
    """Return the Python blocks of a page in their order.

    Args:
        page: its path from the top of the repository.
        replaced: texts that stand in the page for what a reader has, and what is there instead in a test.
    """
    blocks = []
    lines = (ROOT / page).read_text().splitlines()
    for opening, line in enumerate(lines):
        if line == "```python":
            code = "\n" * (opening + 1) + "\n".join(lines[opening + 1 : lines.index("```", opening)])
            for text, instead in replaced.items():
                code = code.replace(text, instead)
            blocks.append(compile(code, page, "exec"))
    return blocks


def run_blocks(page: str, namespace: dict, **replaced: str) -> None:
    """Run the blocks of a page one after the other in one namespace, which is there for what a reader has."""
    for block in code_blocks(page, **replaced):
        exec(block, namespace)  # noqa: S102  code of ours
