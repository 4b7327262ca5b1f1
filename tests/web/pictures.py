"""`make pictures`: the pictures in docs/images, made anew.

Those of the chat and the recovery page come from the tests on the real app, that of a drill from the page that
`make drill` has left.
"""

import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.conftest import ROOT
from tests.web.conftest import FLAGS, find_browser

IMAGES = ROOT / "docs" / "images"
DRILL = ROOT / ".data" / "drill.html"
DRILL_SIZE = {"width": 1180, "height": 1030}  # as far as the plot goes: the lists below are for its readers


def picture_of_drill(page: Path, picture: Path) -> None:
    """Take the picture of a drill's page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        tab = browser.new_page(viewport=DRILL_SIZE, color_scheme="light")  # type: ignore[arg-type]
        tab.goto(page.as_uri())
        tab.screenshot(path=picture)
        browser.close()


def main() -> int:
    """Make them; returns the exit code: 2 where there is no Chromium."""
    if find_browser() is None:
        print("tests.web.pictures: no Chromium found; set CHROMIUM to its path", file=sys.stderr)
        return 2
    tests = [sys.executable, "-m", "pytest", "-q", "tests/web/test_real_app.py"]
    failed = subprocess.run(tests, cwd=ROOT, env={**os.environ, "SCREENSHOTS": str(IMAGES)}, check=False).returncode
    if DRILL.exists():
        picture_of_drill(DRILL, IMAGES / "drill.png")
    else:
        print(f"no {DRILL.relative_to(ROOT)}: the picture of the drill stays as it is; make drill, then make pictures")
    return failed


if __name__ == "__main__":
    sys.exit(main())
