"""The plugin in test runs of its own, as users have them."""

import subprocess
import sys
import textwrap

import pytest

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.newest

CHAIN = """
    from langchain_core.runnables import RunnableLambda
    chain = RunnableLambda(lambda x: x, name="outer") | RunnableLambda(lambda x: x, name="inner")
"""
TREE = "RunnableSequence\n  outer\n  inner"


def run(pytester, test, *options):
    pytester.makepyfile(textwrap.dedent(CHAIN) + textwrap.dedent(test))
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


def test_a_failure_has_the_tree(pytester):
    """Whatever fails in a test with the fixture, its report has the tree, once."""
    result = run(
        pytester,
        """
        def test_it(trace):
            chain.invoke(1)
            assert 1 == 2

        def test_other(trace):
            chain.invoke(1)
            trace.assert_tools(["weather"])
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*- Trace -*", "RunnableSequence", "  outer", "  inner", "*test_other*", "E*  outer"])
    assert result.stdout.str().count("- Trace -") == 1


def test_a_wrong_literal_shows_the_difference(pytester):
    """A tree that is not the literal fails with the lines in which they differ."""
    result = run(
        pytester,
        """
        def test_it(trace):
            chain.invoke(1)
            assert trace.tree() == "RunnableSequence\\n  outer\\n  other"
        """,
    )
    result.stdout.fnmatch_lines(["E*-   other", "E*+   inner"])


def test_inline_snapshot(pytester):
    """inline-snapshot writes the tree, calls of tools and plain data into the test, which then passes."""
    test = """
        from inline_snapshot import snapshot

        def test_it(trace):
            chain.invoke(1)
            assert trace.tree() == snapshot()
            assert trace.tools() == snapshot()
            assert trace.tokens == snapshot()
            assert trace.to_dicts() == snapshot()
        """
    run(pytester, test, "--inline-snapshot=create")
    (written,) = pytester.path.glob("test_*.py")
    assert "RunnableSequence\n  outer\n  inner" in written.read_text()
    assert "Tokens(input=0, output=0)" in written.read_text()
    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_syrupy(pytester):
    """Syrupy keeps the tree and plain data beside the test, and finds them the same next time."""
    test = """
        def test_it(trace, snapshot):
            chain.invoke(1)
            assert trace.tree() == snapshot
            assert trace.to_dicts() == snapshot
        """
    run(pytester, test, "--snapshot-update").assert_outcomes(passed=1)
    (kept,) = pytester.path.glob("__snapshots__/*.ambr")
    assert "    outer\n" in kept.read_text()
    run(pytester, test).assert_outcomes(passed=1)


def test_the_plugin_costs_those_nothing_who_have_no_traces():
    """What pytest imports in every environment imports no LangChain and no SDK."""
    code = (
        "import sys, runspan._pytest_plugin; print([m for m in sys.modules if m.startswith(('langchain', 'opentel'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
