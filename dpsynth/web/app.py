"""Routes and middleware: one Starlette application for one workspace and the keys that it was started with.

Source of the middleware's order: Starlette runs the first one listed outermost, so headers are set on every answer,
foreign hosts are refused before a session is read, and no page is made without one.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from accounting.errors import AccountingError
from dpsynth.core.errors import DpsynthError
from dpsynth.web import actions, pages
from dpsynth.web.access import BoundedBody, Secrets, SignedIn, StrictHeaders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from dpsynth.workspace import Workspace

LOOPBACK: Final = ("127.0.0.1", "localhost")
SESSION_SECONDS: Final = 8 * 3600


def make_app(
    workspace: Workspace,
    *,
    keys: Mapping[Path, str] = MappingProxyType({}),
    secrets: Secrets,
    hosts: Sequence[str] = LOOPBACK,
    secure: bool = False,
) -> Starlette:
    """The console of one workspace.

    Args:
        workspace: what is shown.
        keys: of the person at the console, file -> key id; what each may do is the ledger's word, read each time.
        secrets: token of the link and session secret.
        hosts: names by which a browser may call it.
        secure: whether it is served by TLS, so that the cookie never travels without.
    """
    app = Starlette(
        routes=[
            Route("/login", pages.login, methods=["GET", "POST"]),
            Route("/logout", pages.logout, methods=["POST"]),
            Route("/", pages.queue),
            Route("/drafts/{draft}", pages.draft),
            Route("/drafts/{draft}/report", pages.report),
            Route("/drafts/{draft}/bundle", pages.bundle),
            Route("/release.pub", pages.public_key),
            Route("/drafts/{draft}/{act}", actions.act, methods=["POST"]),
            Route("/ledger", pages.ledger),
            Route("/ledger/check", pages.check),
            Route("/budgets", pages.budgets),
            Route("/style.css", pages.style),
            Mount("/static", StaticFiles(packages=[("dpsynth.web", "static")])),
        ],
        middleware=[
            Middleware(StrictHeaders),
            Middleware(BoundedBody),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
            Middleware(
                SessionMiddleware,
                secret_key=secrets.session,
                session_cookie="dpsynth_console",
                max_age=SESSION_SECONDS,
                same_site="strict",
                https_only=secure,
            ),
            Middleware(SignedIn),
        ],
        exception_handlers={
            DpsynthError: pages.refused,
            AccountingError: pages.refused,
            404: pages.not_found,
            405: pages.not_found,
            413: pages.too_large,
            Exception: pages.failed,
        },
    )
    app.state.workspace = workspace
    app.state.keys = dict(keys)
    app.state.secrets = secrets
    app.state.sessions = set()
    return app
