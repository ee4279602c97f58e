"""Access to the server: a one-time token in the address, then a cookie. Others are refused.

The server listens on 127.0.0.1, where everybody on the machine can connect, and every page that
the grader's browser has open can send requests. So:

- An address holds a token that works once, for a quarter of an hour. It is exchanged for a cookie
  that no script reads and no other site sends (HttpOnly, SameSite=Strict).
- All pages are below a path that can't be guessed, and the cookie is sent only to this path: a
  cookie knows no port, and another user's server on 127.0.0.1 must not get it.
- The Host must be this server's, against DNS rebinding. A change must come from the server's own
  pages (Origin, Sec-Fetch-Site).
- Pages load only this server's own files and stand in no frame (Content-Security-Policy).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from html import escape
from typing import Any
from urllib.parse import parse_qs

from grader.review.rights import Grader

COOKIE = "grade_review"
TOKEN_S = 15 * 60.0
MAX_BODY = 2 * 2**20
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Keys:
    """The tokens that were issued, and the session cookies that they were exchanged for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.prefix = f"/{secrets.token_urlsafe(12)}"
        self._clock = clock
        self._lock = threading.Lock()
        # Only hashes are kept: a leak of memory opens nothing, nor does the time of a look-up.
        self._tokens: dict[str, tuple[Grader, float]] = {}
        self._used: set[str] = set()
        self._sessions: dict[str, Grader] = {}

    def token(self, grader: Grader) -> str:
        """Return a new token for a grader; it works once, within TOKEN_S seconds."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tokens[_hash(token)] = (grader, self._clock() + TOKEN_S)
        return token

    def exchange(self, token: str) -> str | None:
        """Return the session's secret for a token; None if it is unknown, used or expired."""
        with self._lock:
            grader, until = self._tokens.pop(_hash(token), (None, 0.0))
            if grader is None or self._clock() > until:
                return None
            self._used.add(_hash(token))
            session = secrets.token_urlsafe(32)
            self._sessions[_hash(session)] = grader
            return session

    def was_used(self, token: str) -> bool:
        """Return whether a token was exchanged already."""
        with self._lock:
            return _hash(token) in self._used

    def grader(self, session: str) -> Grader | None:
        """Return the grader of a session; None for an unknown session."""
        with self._lock:
            return self._sessions.get(_hash(session))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Door:
    """Passes each allowed request to the application, and refuses every other one.

    port : the port that the server listens on
    """

    def __init__(self, app: App, keys: Keys, port: int) -> None:
        self.app = app
        self.keys = keys
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            # The application has no websockets and no lifespan events.
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _answer(send, *refusal)
            return
        inner = scope["path"].removeprefix(self.keys.prefix)
        if inner == "/enter":
            await self._enter(scope, send)
            return
        grader = self.keys.grader(_cookie(headers))
        if grader is None:
            text = "Open the address that the terminal shows: this browser has not opened it yet."
            await _answer(send, 403, text)
            return
        scope = {**scope, "path": inner, "raw_path": inner.encode(), "grader": grader}
        await self.app(scope, receive, _guarded(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if host not in self.hosts:
            return 403, "This server answers only to 127.0.0.1."
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "This server answers only GET, HEAD and POST."
        if not scope["path"].startswith(f"{self.keys.prefix}/"):
            return 403, "Open the address that the terminal shows."
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if scope["method"] == "POST" and origin != f"http://{host}":
            return 403, "A change must come from a page of this server."
        if origin is not None and origin != f"http://{host}":
            return 403, "Requests from another site are refused."
        if site in ("cross-site", "same-site") and (
            scope["method"] == "POST" or headers.get("sec-fetch-mode") != "navigate"
        ):
            return 403, "Requests from another site are refused."
        return None

    async def _enter(self, scope: Scope, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"), max_num_fields=5)
        token = query.get("token", [""])[0]
        # HEAD must not use the token up: link previews send HEAD.
        session = self.keys.exchange(token) if scope["method"] == "GET" else None
        if session is None:
            text = (
                "This address was used already. If that wasn't you, somebody else has used it: "
                "stop the server, and look at the history."
                if self.keys.was_used(token)
                else "This address is not valid (any more): start `grade review` again."
            )
            await _answer(send, 403, text)
            return
        # Not a redirect, but a page that loads the next one: a browser that comes from another
        # site sends a strict cookie only with requests that a page of this server starts.
        path = f"{self.keys.prefix}/"
        page = (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>grade review</title>'
            '<link rel="icon" href="data:,">'  # else the browser requests one, and is refused
            f'<meta http-equiv="refresh" content="0;url={path}"></head>'
            f'<body><p><a href="{path}">Go on</a></p></body></html>'
        )
        cookie = f"{COOKIE}={session}; Path={path}; HttpOnly; SameSite=Strict"
        await _answer(send, 200, page, html=True, more=[("set-cookie", cookie)])


async def body_of(receive: Receive) -> bytes | None:
    """Return a request's body; None if it has more than MAX_BODY bytes or was cut off."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def _headers(scope: Scope) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        # A header that is sent twice matches nothing: browsers and proxies never send two.
        found[key] = value.decode("latin-1") if key not in found else f"{found[key]},twice"
    return found


def _cookie(headers: dict[str, str]) -> str:
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _guarded(send: Send) -> Send:
    """Return a `send` that adds the headers of every page."""

    async def with_headers(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            present = {name.lower() for name, _ in message["headers"]}
            more = [
                (name.encode(), value.encode())
                for name, value in HEADERS.items()
                if name.encode() not in present
            ]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return with_headers


async def _answer(
    send: Send,
    status: int,
    text: str,
    *,
    html: bool = False,
    more: Sequence[tuple[str, str]] = (),
) -> None:
    if not html:
        text = (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>grade review'
            f"</title></head><body><main><h1>grade review</h1><p>{escape(text)}</p></main></body>"
            "</html>"
        )
    body = text.encode()
    headers = [
        ("content-type", "text/html; charset=utf-8"),
        ("content-length", str(len(body))),
        *HEADERS.items(),
        *more,
    ]
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
    )
    await send({"type": "http.response.body", "body": body})
