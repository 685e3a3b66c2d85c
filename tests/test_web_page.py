"""The page in a real Chromium, on a real daemon that hears what the test says."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.daemon_kit import PATIENCE_S, until
from tests.test_sources import device
from tests.test_web_server import clips, said
from tests.web_kit import CLEAN, CONFIG, DEMO, HISS, OWN, Daemon, Desk
from wakeword.daemon.config import read_config
from wakeword.shelf import read_table

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium (Debian: chromium)")

VIEWS = ("listen", "record", "review", "status")
CONTROLS = {
    "button", "link", "textbox", "slider", "spinbutton", "checkbox", "radio", "combobox",
    "progressbar", "image", "img", "listbox",
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        # As root, as in a container, there is no sandbox; the page is our own.
        running = started.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield running
        running.close()


@contextlib.contextmanager
def opened(browser: Any, daemon: Daemon, view: str = "listen", **settings: Any) -> Iterator[Any]:
    """A page that is connected; nothing in it may go wrong unseen."""
    settings.setdefault("viewport", {"width": 1280, "height": 900})
    context = browser.new_context(**settings)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda m: wrong.append(m.text) if m.type == "error" else None)
    try:
        page.goto(f"{daemon.url}/#{view}")
        until(lambda: daemon.server.feeds, "connecting")
        page.wait_for_selector("#words .word .figures > *", state="attached")
        yield page
    finally:
        context.close()
    assert wrong == []


def colours(page: Any) -> dict[str, int]:
    """Count the pixels of the picture by what they show."""
    found: dict[str, int] = page.evaluate("""() => {
        const canvas = document.querySelector("#picture");
        const style = getComputedStyle(document.documentElement);
        const rgb = (name) => {
            const hex = style.getPropertyValue(name).trim();
            return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
        };
        const wanted = {wave: rgb("--wave"), computer: rgb("--word-0"), jarvis: rgb("--word-1")};
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        const counts = {wave: 0, computer: 0, jarvis: 0};
        for (let at = 0; at < data.length; at += 4) {
            for (const [name, colour] of Object.entries(wanted)) {
                const far = colour.some((value, part) => Math.abs(data[at + part] - value) > 40);
                if (!far) counts[name] += 1;
            }
        }
        return counts;
    }""")
    return found


def test_sound_and_scores_are_drawn_and_a_word_appears_and_is_played_again(
    browser: Any, tmp_path: Path
) -> None:
    with Daemon(tmp_path) as daemon, opened(browser, daemon) as page:
        page.locator("#pill", has_text="Waiting for sound").wait_for()
        before = colours(page)
        daemon.say(HISS[:8000], DEMO[:50_000])
        page.locator("#pill", has_text="Listening").wait_for()
        row = page.locator("#heard li")
        row.wait_for()
        assert row.locator("strong").inner_text() == "computer"
        assert page.locator("#news").inner_text().startswith("Heard computer")
        until(lambda: colours(page)["wave"] > before["wave"] + 1000, "the waveform")
        until(lambda: colours(page)["computer"] > before["computer"] + 50, "the score")
        button = row.get_by_role("button")
        assert button.get_attribute("aria-label").startswith("Play computer")
        page.wait_for_selector("#heard button:not([disabled])")
        with page.expect_response(re.compile(r"\.wav$")) as answer:
            button.click()
        assert answer.value.status == 200
        page.wait_for_selector("#heard .playing")
        page.wait_for_selector("#heard .playing", state="detached")  # it was heard to its end
        page.reload()
        page.locator("#heard li").wait_for()  # it is kept


def test_the_picture_can_be_held_still(browser: Any, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, opened(browser, daemon) as page:
        daemon.say(HISS[:16_000])
        page.locator("#pill", has_text="Listening").wait_for()
        page.get_by_role("button", name="Hold still").click()
        assert page.locator("#pause").get_attribute("aria-pressed") == "true"
        before = colours(page)
        daemon.say(DEMO[:48_000])
        page.locator("#heard li").wait_for()
        assert colours(page) == before


def test_a_threshold_moves_with_what_was_measured_and_is_written(
    browser: Any, tmp_path: Path
) -> None:
    with Daemon(tmp_path) as daemon, opened(browser, daemon) as page:
        card = page.locator(".word").first
        slider = page.get_by_role("slider", name="Threshold of “computer”", exact=True)
        assert float(slider.input_value()) == pytest.approx(OWN, abs=0.006)
        missed = f"{100 * CLEAN['frr']:.1f} %"
        alarms = f"{CLEAN['fa_per_hour']:.2f} / h"
        shown = card.locator(".big").inner_text().replace("\u00a0", " ")
        assert missed in shown
        assert alarms in shown
        save = page.get_by_role("button", name="Save the threshold of “computer”")
        assert save.is_disabled()
        slider.focus()
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        higher = float(slider.input_value())
        assert higher == pytest.approx(OWN + 0.05, abs=0.006)
        card.locator(f"text=at least {missed}").first.wait_for()
        card.locator(f"text=at most {alarms}").first.wait_for()
        card.locator("text=in force, not saved").wait_for()
        assert f"threshold = {higher:g}" not in daemon.path.read_text()
        until(lambda: daemon.service._wanted.words["computer"].threshold == higher, "trying it")
        save.click()
        card.locator("text=saved").wait_for()
        until(lambda: f"threshold = {higher:g}" in daemon.path.read_text(), "writing")
        assert "# higher: fewer" in daemon.path.read_text()
        daemon.say(HISS[:8000])
        until(lambda: daemon.service.models.threshold_of()["computer"] == higher, "taking it over")
        number = page.get_by_role("spinbutton", name="Threshold of “computer”, as a number")
        number.fill("0.1")
        number.press("Enter")
        card.locator(f"text=at most {missed}").first.wait_for()
        until(lambda: daemon.service._wanted.words["computer"].threshold == 0.1, "trying it")
        page.get_by_role("button", name="Undo the threshold of “computer”").click()
        until(lambda: daemon.service._wanted.words["computer"].threshold == higher, "undoing it")


def test_a_threshold_that_cannot_be_written_is_said(browser: Any, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, opened(browser, daemon) as page:
        daemon.service.path = None
        page.reload()
        page.get_by_role("slider", name="Threshold of “jarvis”", exact=True).focus()
        page.keyboard.press("ArrowLeft")
        card = page.locator(".word").nth(1)
        card.locator("text=in force until the end").wait_for()
        assert page.get_by_role("button", name="Save the threshold of “jarvis”").is_disabled()


LOUDEST = """() => new Promise((resolve) => {
    const stream = new EventSource("/api/stream");
    stream.addEventListener("frame", (event) => {
        stream.close();
        resolve(JSON.parse(event.data).high.at(-1));
    });
})"""


def test_another_microphone_is_listened_to_at_once_and_written(
    browser: Any, tmp_path: Path
) -> None:
    desk = Desk(device("Built in"), device("Desk array"))
    config = CONFIG + "[audio]\nchannel = 0  # of the first\n"
    with Daemon(tmp_path, config, sounddevice=desk) as daemon, opened(browser, daemon) as page:
        assert page.evaluate(LOUDEST) == 900
        choice = page.get_by_role("combobox", name="Listen to")
        page.wait_for_selector("#mic option:has-text('Desk array')", state="attached")
        choice.select_option("Desk array")
        until(lambda: daemon.service.config.audio.device == "Desk array", "changing")
        until(lambda: page.evaluate(LOUDEST) == 9000, "hearing it")
        assert read_config(daemon.path).audio.device is None
        page.get_by_role("button", name="Keep this one").click()
        until(lambda: read_config(daemon.path).audio.device == "Desk array", "writing")
        assert read_config(daemon.path).audio.channel is None
        choice.select_option("")  # the default again
        until(lambda: page.evaluate(LOUDEST) == 900, "hearing the first again")


def test_a_sample_is_recorded_played_and_kept(browser: Any, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, opened(browser, daemon, "record") as page:
        page.get_by_role("combobox", name="Say").fill("hey computer")
        page.get_by_role("textbox", name="Who speaks").fill("ann")
        page.get_by_role("spinbutton", name="Clips in the end").fill("1")
        page.get_by_role("button", name="Start").click()
        page.locator("#said", has_text="be silent").wait_for()
        daemon.say(HISS[:32_000])
        page.locator("#said", has_text='1 of 1: say "hey computer"').wait_for()
        daemon.say(said(1))
        page.locator("#said", has_text="Good?").wait_for()
        with page.expect_response(re.compile(r"take\.wav$")) as answer:
            page.get_by_role("button", name="Play it").click()
        assert answer.value.status == 200
        with page.expect_response("**/api/record"):
            page.get_by_role("button", name="Again").click()
        daemon.say(HISS[:16_000])
        page.locator("#said", has_text="1 of 1").wait_for()
        daemon.say(said(2))
        page.locator("#said", has_text="Good?").wait_for()
        with page.expect_response("**/api/record"):
            page.get_by_role("button", name="Keep").click()
        daemon.say(HISS[:8000])
        page.locator("#booth-title", has_text="Done").wait_for()
        page.locator("#shelf td", has_text="hey computer").wait_for()
        assert "--positives" in page.locator("#shelf-command").inner_text()
        (row,) = read_table(tmp_path / "state" / "recordings")
        assert (row.label, row.speaker, row.kind) == ("hey computer", "ann", "positive")
        assert (tmp_path / "state" / "recordings" / row.file).is_file()


def test_what_is_wrong_with_a_plan_is_said(browser: Any, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        page = browser.new_page()
        page.goto(f"{daemon.url}/#record")
        page.locator("#phrase").fill("///")
        page.get_by_role("button", name="Start").click()
        page.get_by_role("alert").filter(has_text="need at least one letter").wait_for()
        page.close()


def test_clips_are_judged_and_the_threshold_follows(browser: Any, tmp_path: Path) -> None:
    clips(tmp_path / "clips")
    with Daemon(tmp_path) as daemon, opened(browser, daemon, "review") as page:
        row = page.locator("#clips li")
        row.wait_for()
        assert row.count() == 1  # the others have a label
        with page.expect_response(re.compile(r"a-0\.wav$")) as answer:
            row.locator(".play").click()
        assert answer.value.status == 200
        page.get_by_role("button", name="Use 0.751 and save, for computer").wait_for()
        row.get_by_role("button", name=re.compile("^No")).click()
        page.locator("#clips-none", has_text="Nothing is left to judge").wait_for()
        assert '"label": "no"' in (tmp_path / "clips" / "a-0.json").read_text()
        page.get_by_role("checkbox", name="judged ones, too").check()
        until(lambda: page.locator("#clips li").count() == 3, "showing all")
        page.get_by_role("button", name="Use 0.801 and save, for computer").click()
        until(lambda: read_config(daemon.path).words["computer"].threshold == 0.801, "writing")


def test_keys_judge_the_first_clip(browser: Any, tmp_path: Path) -> None:
    clips(tmp_path / "clips")
    with Daemon(tmp_path) as daemon, opened(browser, daemon, "review") as page:
        page.locator("#clips li").wait_for()
        page.keyboard.press("y")
        page.locator("#clips-none", has_text="Nothing is left").wait_for()
        assert '"label": "yes"' in (tmp_path / "clips" / "a-0.json").read_text()


def test_the_status_says_how_the_daemon_is(browser: Any, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, opened(browser, daemon, "status") as page:
        daemon.say(DEMO[:48_000])
        page.locator("#log li", has_text="heard computer").wait_for()
        page.locator("#counts tr", has_text=re.compile(r"computer\s*1\s*0")).wait_for()
        page.locator("#numbers dd", has_text="3 s").first.wait_for()


def test_the_token_is_asked_for_and_signing_out_asks_again(browser: Any, tmp_path: Path) -> None:
    config = CONFIG + 'token_file = "token"\n'
    with Daemon(tmp_path, config) as daemon:
        page = browser.new_page()
        page.goto(daemon.url)
        assert page.url.endswith("/login")
        page.get_by_label("Token").fill("not that one, surely not")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").wait_for()
        page.get_by_label("Token").fill((tmp_path / "token").read_text().strip())
        page.get_by_role("button", name="Sign in").click()
        page.locator(".word").first.wait_for()
        assert page.url == f"{daemon.url}/"
        assert page.evaluate("document.cookie") == ""
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url("**/login")
        page.close()


def test_by_tls_a_browser_signs_in_and_is_told_all(browser: Any, tmp_path: Path) -> None:
    own = trustme.CA().issue_cert("localhost")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    more = 'token_file = "token"\ncert_file = "cert.pem"\nkey_file = "key.pem"\n'
    with Daemon(tmp_path, CONFIG + more) as daemon:
        context = browser.new_context(ignore_https_errors=True)
        page = context.new_page()
        page.goto(f"https://localhost:{daemon.port}/")
        page.get_by_label("Token").fill((tmp_path / "token").read_text().strip())
        page.get_by_role("button", name="Sign in").click()
        page.locator(".word").first.wait_for()
        (cookie,) = context.cookies()
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
        until(lambda: daemon.server.feeds, "connecting")
        daemon.say(DEMO[:48_000])
        page.locator("#heard li").wait_for()
        context.close()


def test_a_daemon_that_comes_back_is_found_again(browser: Any, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon:
        page = browser.new_page()
        page.goto(daemon.url)
        until(lambda: daemon.server.feeds, "connecting")
        port = daemon.port
    page.locator("#pill", has_text="Not connected").wait_for()
    with Daemon(tmp_path, CONFIG.replace("127.0.0.1:0", f"127.0.0.1:{port}")) as daemon:
        until(lambda: daemon.server.feeds, "connecting again")
        daemon.say(DEMO[:48_000])
        page.locator("#heard li").wait_for()
    page.close()


SMALL = """() => [...document.querySelectorAll("button, nav a, select, input, summary, .choice")]
    .filter((one) => one.offsetParent && !["radio", "checkbox"].includes(one.type))
    .map((one) => [one.outerHTML, one.getBoundingClientRect().height])
    .filter(([, height]) => height < 32)"""  # what a finger does not find; a label counts as well


@pytest.mark.parametrize("width", [320, 390, 768])
def test_nothing_is_wider_than_the_screen(browser: Any, tmp_path: Path, width: int) -> None:
    clips(tmp_path / "clips")
    size = {"width": width, "height": 800}
    with Daemon(tmp_path) as daemon, opened(browser, daemon, viewport=size, has_touch=True) as page:
        daemon.say(DEMO[:48_000])
        page.locator("#heard li").wait_for()
        page.locator("details summary").first.click()
        for view in VIEWS:
            page.goto(f"{daemon.url}/#{view}")
            page.locator(f"#view-{view}").wait_for()
            if view == "review":
                page.locator("#clips li").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
            assert page.evaluate(SMALL) == [], view


def test_every_control_has_a_name(browser: Any, tmp_path: Path) -> None:
    clips(tmp_path / "clips")
    with Daemon(tmp_path) as daemon, opened(browser, daemon) as page:
        daemon.say(DEMO[:48_000])
        page.locator("#heard li").wait_for()
        tools = page.context.new_cdp_session(page)
        seen = set()
        for view in VIEWS:
            page.goto(f"{daemon.url}/#{view}")
            page.locator(f"#view-{view}").wait_for()
            if view == "review":
                page.locator("#clips li").first.wait_for()
            for node in tools.send("Accessibility.getFullAXTree")["nodes"]:
                role = node.get("role", {}).get("value", "")
                if not node.get("ignored") and role.casefold() in CONTROLS:
                    seen.add(role.casefold())
                    assert node["name"]["value"].strip(), (view, node)
        assert {"button", "link", "slider", "spinbutton", "textbox", "combobox", "radio"} <= seen
        headings = page.locator("h1").count()
        assert headings == 1


CONTRAST = """() => {
    const parts = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const linear = (v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
        const [x, y, z] = [r, g, b].map((v) => linear(v / 255));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (one) => {
        for (; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const poor = [];
    for (const one of document.querySelectorAll("body *")) {
        const own = [...one.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
        if (!own || !one.offsetParent || one.disabled || one.closest("button:disabled")) continue;
        const a = light(parts(getComputedStyle(one).color)) + 0.05;
        const b = light(behind(one)) + 0.05;
        const ratio = Math.max(a, b) / Math.min(a, b);
        if (ratio < 4.5) poor.push([one.outerHTML.slice(0, 90), ratio]);
    }
    return poor;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(browser: Any, tmp_path: Path, scheme: str) -> None:
    clips(tmp_path / "clips")
    with (
        Daemon(tmp_path) as daemon,
        opened(browser, daemon, color_scheme=scheme, reduced_motion="reduce") as page,
    ):
        daemon.say(DEMO[:48_000])
        page.locator("#heard li").wait_for()
        assert (
            page.locator("#heard li").first.evaluate("e => getComputedStyle(e).animationName")
            == "none"
        )
        for view in VIEWS:
            page.goto(f"{daemon.url}/#{view}")
            page.locator(f"#view-{view}").wait_for()
            assert page.evaluate(CONTRAST) == [], view


def test_the_whole_page_can_be_used_with_keys(browser: Any, tmp_path: Path) -> None:
    with Daemon(tmp_path) as daemon, opened(browser, daemon) as page:
        page.locator("body").focus()
        reached = []
        for _ in range(25):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    "document.activeElement.textContent.trim() || document.activeElement.type"
                )
            )
        assert reached[0] == "Skip to the content"
        for name in ("Listen", "Record", "Status", "Hold still", "range", "number"):
            assert name in reached
