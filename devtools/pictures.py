"""Take the pictures of the documents: the demo's traces in a real Chromium.

python devtools/pictures.py FOLDER
"""
# ruff: noqa: INP001, S603, T201  a script, it prints, and what it calls is this Python

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

WIDTH: Final = 1280
HEIGHT: Final = 800


def main(folder: Path) -> None:
    """Run the demo, and take a picture of each view."""
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([sys.executable, "-m", "runspan.cli", "demo", "--folder", work], check=True)
        with sync_playwright() as playwright:
            path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = playwright.chromium.launch(executable_path=path, args=arguments)
            for name, scheme in (("trace", "light"), ("trace-dark", "dark")):
                take(opened(browser, work, scheme), folder / f"{name}.png")
            browser.close()


def opened(browser: Browser, work: str, scheme: str) -> Page:
    """Open the page of the demo, in light or dark."""
    context = browser.new_context(
        viewport={"width": WIDTH, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto((Path(work) / "trace.html").as_uri())
    page.locator(".traces a").first.wait_for()
    return page


def take(page: Page, path: Path) -> None:
    """Take a picture of the agent."""
    page.locator(".traces a", has_text="Lisbon").first.click()
    page.locator(".detail .message").first.wait_for()
    page.mouse.move(0, 0)
    page.screenshot(path=path)
    print(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
