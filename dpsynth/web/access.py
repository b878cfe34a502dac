"""Who may look and who may write: a token, a signed session, a CSRF token for each form, and strict headers.

Whoever starts the console reads a link with a random token on the terminal; the link makes a session (a cookie signed
with a secret of this process, HttpOnly, SameSite=Strict), which ends here too when it is ended. A form counts only with
the session's own CSRF token and from this origin, and is read up to a bound. The name in the Host header must be ours,
so that a foreign page cannot reach the console by DNS. Pages may load scripts and styles from here and nothing else;
the report in its frame may run no script at all.

Not guaranteed: protection from other programs of the same account; they can read the keys themselves.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse

from dpsynth.core.errors import DpsynthError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
REPORT_POLICY: Final = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'self'"
)
HEADERS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would turn the Origin of our own forms into "null"
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
MAX_BODY: Final = 2**16
"""Bytes of a form: the longest reason, escaped, and the rest."""
OPEN_TO_ALL: Final = frozenset({"/login", "/style.css"})


class FormRefused(DpsynthError):
    """A form that did not come from a page of this session."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Random for each start of the console: the token of the link, and what signs sessions."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    session: str = field(default_factory=lambda: secrets.token_urlsafe(32))


def sign_in(request: Request, token: str, expected: str) -> bool:
    """Begin a session if the token is right."""
    if not hmac.compare_digest(token.encode(), expected.encode()):
        return False
    end_session(request)
    request.session.update(csrf=secrets.token_urlsafe(32))
    request.app.state.sessions.add(csrf_token(request))
    return True


def end_session(request: Request) -> None:
    """Forget the session here too, so that a copy of its cookie is worth nothing."""
    request.app.state.sessions.discard(csrf_token(request))
    request.session.clear()


def is_signed_in(connection: HTTPConnection) -> bool:
    """Whether the session began here and was not ended."""
    return connection.session.get("csrf") in connection.app.state.sessions


def csrf_token(request: Request) -> str:
    """The session's token, for the hidden field of a form."""
    return str(request.session.get("csrf", ""))


def check_form(request: Request, given: str) -> None:
    """Return for a form of this session.

    Raises:
        FormRefused: its token is another one, or it came from another origin.
    """
    own = csrf_token(request)
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or not own or not hmac.compare_digest(own.encode(), given.encode()):
        raise FormRefused("The form was not sent from this console's own page.", "Open the page again and repeat it.")


class SignedIn:
    """Middleware: without a session there is the sign-in page and nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        path = scope.get("path", "")
        allowed = scope["type"] != "http" or path in OPEN_TO_ALL or path.startswith("/static/")
        if allowed or is_signed_in(HTTPConnection(scope)):
            await self.app(scope, receive, send)
            return
        answer: Response = RedirectResponse("/login", status_code=303)
        await answer(scope, receive, send)


class BoundedBody:
    """Middleware: what is sent is read up to a bound; any page in the browser may post here, signed in or not."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = 0

        async def bounded() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                raise HTTPException(413)
            return message

        await self.app(scope, bounded, send)


class StrictHeaders:
    """Middleware: what a browser must not do with our pages; a response's own policy stays."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
            await send(message)

        await self.app(scope, receive, with_headers)
