"""docs/index.md."""

from tests.documents.code_blocks import run_blocks

run_blocks("docs/index.md", globals())
