"""The page that ``runspan demo`` writes, of a real agent, a real stream and a real LangGraph."""

import subprocess
import sys

import pytest
from playwright.sync_api import expect

from tests.browser.traces import expect_chosen


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The page of all scenes."""
    folder = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "runspan.cli", "demo", "--folder", str(folder)]
    subprocess.run(command, capture_output=True, check=True, timeout=100)
    return (folder / "trace.html").as_uri()


def test_the_agent_reads_like_a_conversation(demo, open_page):
    """From the list to a call of a tool, its result and its second attempt, each by a click."""
    page = open_page(demo)
    expect(page.locator(".traces a")).to_have_count(5)
    page.locator(".traces a", has_text="one day in Lisbon").click()
    expect(page.locator(".detail .markdown table")).to_be_visible()
    expect(page.locator(".row", has_text="attempt 2")).to_have_count(1)
    page.locator(".row", has_text="attempt 2").click()
    page.get_by_role("button", name="Retry of").click()
    expect(page.locator(".detail .failure")).to_contain_text("TimeoutError")
    page.get_by_role("button", name="Asked by").click()
    expect(page.locator(".detail .call .what").first).to_have_text("weather")
    expect(page.locator("summary", has_text="Reasoning")).to_be_visible()


def test_a_graph_has_visits_and_leads_to_where_it_waited(demo, open_page):
    """The graph of a LangGraph run counts visits, says what waits, and its resumed part leads back to it."""
    page = open_page(demo)
    page.get_by_role("searchbox").fill("refund")
    expect(page.locator(".traces a")).to_have_count(2)
    page.locator(".traces a").first.click()  # the latest
    page.get_by_role("link", name="Resumed from").click()
    expect(page.locator(".head")).to_contain_text("refund")
    expect(page.locator(".detail .chip", has_text="thread_id")).to_contain_text("demo-graph")
    expect(page.locator(".detail .chip", has_text="checkpoint_id").get_by_role("button")).to_have_text("Copy")
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="draft, 2 visits")).to_be_visible()
    expect(page.get_by_role("button", name="check, 2 visits")).to_be_visible()
    page.get_by_role("button", name="approve, 1 visit").click()
    expect_chosen(page, "approve")
    expect(page.locator(".detail .badge")).to_contain_text("interrupted")
