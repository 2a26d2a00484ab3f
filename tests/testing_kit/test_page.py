"""The page about testing."""

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.newest

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_the_tests_of_the_page_pass(pytester):
    """The code of docs/testing.md is a test file that passes."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    pytester.makepyfile("\n\n".join(blocks))
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=3)
