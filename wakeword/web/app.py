"""Requests to the page: who may, what is there, and the stream of messages."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from wakeword.errors import WakewordError
from wakeword.web.guard import bearer, from_here, named, same
from wakeword.web.server import Feed, WebServer

__all__ = ["Base", "Bounded", "Json", "application", "field"]

FOLDER = Path(__file__).with_name("page")
DAYS = 30  # for which a browser stays signed in
ALIVE_S = 15.0  # after which a silent stream says that it is there
WRONG = '<p role="alert">That is not the token.</p>'
KINDS = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; media-src blob:; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Not no-referrer: a form would then not say which page it comes from.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

T = TypeVar("T")
log = logging.getLogger("wakeword")


def application(server: WebServer, key: str) -> Application:
    """Put the handlers together; ``key`` signs the cookies."""
    from wakeword.web import api

    files = {path.name: path.read_bytes() for path in sorted(FOLDER.iterdir()) if path.is_file()}
    routes: list[tuple[str, type[Base]]] = [
        (r"/", Start),
        (r"/login", Login),
        (r"/logout", Logout),
        (r"/static/([a-z0-9_]{1,40}\.[a-z]{1,5})", Static),
        (r"/api/stream", Stream),
        *api.ROUTES,
    ]
    given = {"server": server}
    return Application(
        [(pattern, handler, given) for pattern, handler in routes], files=files,
        cookie_secret=key, log_function=lambda handler: None,
        default_handler_class=Nothing, default_handler_args=given,
    )  # fmt: skip


class Bounded(HTTPServer):
    """An HTTP server with so many connections and no more."""

    limit = 1
    _open_count = 0

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Take a connection, or hang up."""
        if self._open_count >= self.limit:
            stream.close()
            return
        self._open_count += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """Count a connection that ended."""
        self._open_count -= 1
        super().on_close(server_conn)


class Base(RequestHandler):
    """Checks for every request, and what every answer says."""

    public = False
    """Whether it is there for those who gave no token."""

    def initialize(self, server: WebServer) -> None:
        """Take what the routes give."""
        self.server = server

    def set_default_headers(self) -> None:
        """Forbid what no part of the page needs."""
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse strangers."""
        headers = self.request.headers
        server = self.server
        hosts = headers.get_list("Host")
        if len(hosts) != 1 or not named(hosts[0], server.names, loopback=server.loopback):
            raise HTTPError(421, reason="not under this name; see names in [web]")
        if not from_here(headers, tls=server.tls):
            raise HTTPError(403, reason="asked for by another page")
        if not (self.public or self.signed_in()):
            self.turn_away()

    def turn_away(self) -> None:
        """Answer one who gave no token."""
        raise HTTPError(401, reason="the token is missing")

    @property
    def cookie(self) -> str:
        """The cookie's name; browsers do not keep the cookies of two ports apart."""
        return f"wakeword-{self.server.port}"

    def signed_in(self) -> bool:
        """Tell whether the request carries the token, or a cookie that was given for it."""
        token = self.server.token
        if token is None or same(bearer(self.request.headers.get("Authorization")), token):
            return True
        return self.get_signed_cookie(self.cookie, max_age_days=DAYS) == b"in"

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say in one line what is wrong."""
        exc = kwargs.get("exc_info", (None, None, None))[1]
        text = self._reason
        if isinstance(exc, WakewordError):
            self.set_status(400)
            text = str(exc)
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"error": text}))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Leave what is a user's mistake out of the log."""
        if not self.expects(value):
            super().log_exception(typ, value, tb)

    def expects(self, value: object) -> bool:
        """Tell whether an error is what a request of a user's, or of a stranger's, can lead to."""
        return isinstance(value, (WakewordError, HTTPError, StreamClosedError))

    def on_finish(self) -> None:
        """Nothing: who asks for what is nobody's business."""

    async def in_files(self, work: Callable[..., T], *args: Any) -> T:
        """Do what takes a disk beside the servers' thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.server.files, work, *args)


class Nothing(Base):
    """What is not there."""

    def prepare(self) -> None:
        """Check, then say so."""
        super().prepare()
        raise HTTPError(404, reason="no such page")


class Static(Base):
    """Files of the package, held in memory: no name from a request reaches the disk."""

    public = True

    @property
    def files(self) -> dict[str, bytes]:
        """By name."""
        files: dict[str, bytes] = self.settings["files"]
        return files

    def get(self, name: str) -> None:
        """Give one."""
        content = self.files.get(name)
        if content is None or name.endswith(".html"):
            raise HTTPError(404, reason="no such file")
        self.give(name, content)

    head = get

    def give(self, name: str, content: bytes) -> None:
        """Answer with a file, or with nothing where the browser has it."""
        self.set_header("Content-Type", f"{KINDS[Path(name).suffix]}; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("Etag", f'"{hashlib.sha256(content).hexdigest()[:32]}"')
        if self.check_etag_header():
            self.set_status(304)
            return
        self.write(content)


class Start(Static):
    """The page itself."""

    public = False

    def get(self) -> None:  # type: ignore[override] # no name: there is one page
        """Give it."""
        self.give("index.html", self.files["index.html"])

    head = get  # type: ignore[assignment] # as above

    def turn_away(self) -> None:
        """Ask for the token."""
        self.redirect("/login", status=303)


class Login(Static):
    """Asks for the token, and gives a cookie for it."""

    def get(self) -> None:  # type: ignore[override] # as above
        """Show the form."""
        page = self.files["login.html"]
        wrong = self.request.query == "wrong"
        self.give("login.html", page.replace(b"<!--wrong-->", WRONG.encode() if wrong else b""))

    head = get  # type: ignore[assignment] # as above

    def post(self) -> None:
        """Take the token from the form."""
        token = self.server.token
        if token is not None and not same(self.get_body_argument("token", "").strip(), token):
            self.redirect("/login?wrong", status=303)
            return
        self.set_signed_cookie(
            self.cookie, "in", expires_days=DAYS, httponly=True, samesite="Strict",
            secure=self.server.tls,
        )  # fmt: skip
        self.redirect("/", status=303)


class Logout(Base):
    """Takes the cookie back."""

    def post(self) -> None:
        """Sign out."""
        self.clear_cookie(self.cookie)
        self.redirect("/login", status=303)


class Stream(Base):
    """Messages to an open page, as they come (server-sent events)."""

    async def get(self) -> None:
        """Send until the page goes."""
        self.feed = Feed(self.request.connection.stream)  # type: ignore[union-attr] # HTTP/1
        if not self.server.join(self.feed):
            raise HTTPError(503, reason="too many pages are open; see clients in [web]")
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        try:
            self.write("retry: 1000\n\n")
            await self.flush()
            while (text := await self._next()) is not None:
                self.write(text)
                await self.flush()
        except StreamClosedError:
            pass
        finally:
            self.server.leave(self.feed)

    def on_connection_close(self) -> None:
        """The page has gone."""
        if hasattr(self, "feed"):
            self.feed.put(None)

    async def _next(self) -> str | None:
        """Wait for a message."""
        try:
            return await asyncio.wait_for(self.feed.messages.get(), ALIVE_S)
        except asyncio.TimeoutError:
            return ": here\n\n"


class Json(Base):
    """What the page asks for, and what it asks to be done."""

    def give(self, value: Any) -> None:
        """Answer."""
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(value, allow_nan=False))

    def sound(self, content: bytes) -> None:
        """Answer with a WAV."""
        self.set_header("Content-Type", "audio/wav")
        self.finish(content)

    def asked(self) -> dict[str, Any]:
        """Read the body: a JSON object. Another page cannot send one without asking first."""
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
        if kind.casefold() != "application/json":
            raise HTTPError(415, reason="need application/json")
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError) as exc:
            raise HTTPError(400, reason="need JSON") from exc
        if not isinstance(found, dict):
            raise HTTPError(400, reason="need a JSON object")
        return found


def field(asked: dict[str, Any], name: str, kind: type[T], *, low: float = 0, high: float = 0) -> T:
    """Return a field of a request, or refuse it.

    Args:
        asked: the request.
        name: of the field.
        kind: its type; a whole number is a float, too, and True is no number.
        low, high: limits of a number, or of the length of a text.
    """
    value = asked.get(name)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise HTTPError(400, reason=f"{name} is missing, or of the wrong type")
    size = len(value) if isinstance(value, str) else value
    if kind is not bool and not low <= size <= high:  # type: ignore[operator] # text or number
        raise HTTPError(400, reason=f"{name}: need {low:g} to {high:g}")
    return value
