"""Pictures of pages, by a Chromium without a window."""

import shutil
import subprocess

_NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, _NAMES)), None)


def take_picture(address, path, *, size=(1500, 900), seconds=25):
    """Open a page and write a picture of it, once it has had the time to draw itself."""
    path.unlink(missing_ok=True)
    width, height = size
    subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *(f"--window-size={width},{height}", f"--virtual-time-budget={seconds * 1000}"),
            *(f"--screenshot={path}", address),
        ],
        check=True,
        capture_output=True,
        timeout=180,
    )
    return path
