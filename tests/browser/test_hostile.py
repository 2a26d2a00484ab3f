"""Nothing of a trace runs, loads or stops the page: in a file, and as ``runspan ui`` shows it."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.traces import hostile_traces
from tests.recorded import model_call, recorded, text


def test_nothing_of_a_trace_runs_or_loads(shown):
    """Hostile texts in every place that a span has run nothing and load nothing, in every view."""
    page = shown(hostile_traces())
    expect(page.locator(".traces a")).to_have_count(2)
    page.locator(".traces a").first.click()
    page.go_back()
    page.locator(".traces a").last.click()
    for _ in range(3):
        for summary in page.locator("summary").all():
            summary.evaluate("summary => summary.parentElement.open = true")
        page.wait_for_timeout(100)
        page.keyboard.press("ArrowDown")
    for tab in ("Graph", "Text"):
        page.get_by_role("tab", name=tab).click()
    assert (
        page.evaluate("document.querySelectorAll('iframe, img, object, embed, base, form:not([method=dialog])').length")
        == 0
    )
    assert page.evaluate("({}).polluted") is None


@pytest.mark.parametrize(
    "text_of_a_message",
    [
        "a_" * 70_000,
        "> " * 70_000,
        "[" * 150_000,
        "x" * 3_000_000,
        json.dumps(list(range(100_000))),
        "[" * 5000 + "]" * 5000,
    ],
    ids=["emphasis", "quotes", "brackets", "long", "list", "nested"],
)
def test_no_text_stops_the_page(opened, text_of_a_message):
    """Texts that are very long, or nested very deeply, are shown all the same, in one way or another."""
    page = opened([recorded(1, attributes=model_call([text("user", "?")], [text("assistant", text_of_a_message)]))])
    expect(page.locator(".detail .message.assistant .inside > .content")).to_be_visible()
    page.keyboard.press("3")
    expect(page.locator(".text pre")).to_contain_text("assistant: ")
