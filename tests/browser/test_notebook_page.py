"""Traces in a notebook, as its page shows them."""

from playwright.sync_api import expect

from runspan.viewer.notebook import ShownTraces
from tests.browser.traces import agent_trace, hostile_traces


def test_a_trace_is_a_page_within_the_notebook(open_page, tmp_path):
    """Within a frame that reaches nothing of the notebook the page works: clicks, keys, Markdown."""
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>x</title><p class=empty>cell</p>{ShownTraces(agent_trace())._repr_html_()}")
    page = open_page(path.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator(".row", has_text="m-1").last.click()
    expect(frame.locator(".detail h2")).to_have_text("chat m-1")
    expect(frame.locator(".detail .markdown h3")).to_have_text("Sunny")
    page.keyboard.press("[")
    expect(frame.locator(".detail .divide")).to_have_text(["Answer"])


def test_a_hostile_trace_stays_in_its_frame(open_page, tmp_path):
    """Nothing of a trace ends the frame, or runs or loads in it."""
    path = tmp_path / "notebook.html"
    shown = ShownTraces(hostile_traces())._repr_html_()
    path.write_text(f"<!doctype html><title>x</title><p class=empty>cell</p>{shown}", "utf-8")
    page = open_page(path.as_uri())
    frame = page.frame_locator("iframe")
    expect(frame.locator(".traces a")).to_have_count(2)
    frame.locator(".traces a").last.click()
    expect(frame.locator(".row")).to_have_count(len(hostile_traces()) - 1)
    assert page.locator("iframe").count() == 1
    assert page.locator("img, script, svg, base").count() == 0
