"""Take the picture of the page that docs/WEB.md shows: docs/web.png.

    python bench/page_picture.py

Needs Chromium, playwright and tornado. The page is the real one, on the recording that ships.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from wakeword.daemon.service import Service
from wakeword.microphone import SystemClock
from wakeword.web.command import paced

ROOT = Path(__file__).parents[1]
CONFIG = '[word.computer]\n[word.jarvis]\n[web]\naddress = "127.0.0.1:0"\n'
SIZE = {"width": 1180, "height": 800}


def main() -> None:
    out = ROOT / "docs" / "web.png"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "wakeword.toml"
        path.write_text(f'state = "{folder}"\n{CONFIG}', encoding="utf-8")
        sound = paced(ROOT / "wakeword/demo/computer.flac", SystemClock())
        service = Service(path, source=sound)
        thread = threading.Thread(target=service.run)
        thread.start()
        try:
            take(service, out)
        finally:
            service.request_stop()
            thread.join()
    print(f"{out.relative_to(ROOT)}: {out.stat().st_size} bytes")


def take(service: Service, out: Path) -> None:
    """Open the page, wait for four words, and take its picture."""
    clock = SystemClock()
    while "web" not in service.servers:
        clock.sleep(0.05)
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light", reduced_motion="no-preference")
        page.goto(f"http://127.0.0.1:{service.port('web')}/")
        page.locator("#heard li").nth(3).wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    main()
