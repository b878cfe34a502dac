"""The pages: sign in, the queue, one draft with its evidence side by side, the ledger, the budgets, the portfolio.

Each reads workspace and ledger anew, and is complete without a script; htmx only spares a reload (the queue refreshes
itself, older entries are added below). Templates are rendered by the report's environment, so that console, report and
cells show the same pieces in the same way.
"""

from __future__ import annotations

import logging
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse, Response

from accounting.ledger.entry import Kind
from dpsynth.report.html import environment as report_environment
from dpsynth.web import views
from dpsynth.web.access import (
    HEADERS,
    PAGE_POLICY,
    REPORT_POLICY,
    check_form,
    csrf_token,
    end_session,
    is_signed_in,
    sign_in,
)

if TYPE_CHECKING:
    from starlette.requests import Request

    from dpsynth.web.acts import Person
    from dpsynth.workspace import Workspace

_PLACE: Final = re.compile(r"[0-9]{1,18}")
NAVIGATION: Final = (("/", "Drafts"), ("/ledger", "Ledger"), ("/budgets", "Budgets"))


@cache
def environment() -> Environment:
    """The report's templates and ours."""
    env: Environment = report_environment().overlay(
        loader=ChoiceLoader([PackageLoader("dpsynth.web"), PackageLoader("dpsynth.report")])
    )
    return env


def page(request: Request, template: str, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """A page, or with a leading underscore a piece of one."""
    frame: dict[str, Any] = {
        "navigation": NAVIGATION,
        "here": request.url.path,
        "csrf": csrf_token(request),
        "signed_in": is_signed_in(request),
        "root": str(_workspace(request).layout.root),
        "said": request.session.pop("said", None),
    }
    return HTMLResponse(environment().get_template(template).render(frame | shown), status_code=status)


async def login(request: Request) -> Response:
    """Begin a session with the link's token, or ask for it."""
    token = request.query_params.get("token")
    if request.method == "POST":
        token = str((await request.form()).get("token", ""))
    if token is not None and sign_in(request, token, request.app.state.secrets.token):
        return RedirectResponse("/", status_code=303)
    return page(request, "login.html.j2", status=200 if token is None else 403, wrong=token is not None)


async def logout(request: Request) -> Response:
    """End the session."""
    check_form(request, str((await request.form()).get("csrf", "")))
    end_session(request)
    return RedirectResponse("/login", status_code=303)


def queue(request: Request) -> Response:
    """All drafts, those that wait for somebody first; `state` shows one state."""
    workspace = _workspace(request)
    wanted = request.query_params.get("state", "")
    lines = views.queue(workspace)
    shown = [line for line in lines if not wanted or line.state == wanted]
    template = "_queue.html.j2" if _piece(request) else "queue.html.j2"
    states = sorted({line.state for line in lines})
    return page(request, template, lines=shown, states=states, wanted=wanted, people=_people(request))


def draft(request: Request) -> Response:
    """One draft: state, evidence side by side, reviews, and what the person at the console may do."""
    from dpsynth.workspace.releasing import internal_model

    found, people = _workspace(request).draft(request.path_params["draft"]), _people(request)
    model = internal_model(found)
    return page(
        request, "draft.html.j2", draft=found, model=model, case=views.case(found, model, people), people=people
    )


def report(request: Request) -> Response:
    """The internal report, for the frame that shows it; it may run nothing."""
    from dpsynth.workspace.releasing import internal_report

    text = internal_report(_workspace(request).draft(request.path_params["draft"]))
    return HTMLResponse(text, headers={"Content-Security-Policy": REPORT_POLICY})


def bundle(request: Request) -> Response:
    """The bundle that was released here, as the one file that receivers get."""
    workspace = _workspace(request)
    path = views.bundle_of(workspace, workspace.draft(request.path_params["draft"]).name)
    if not path.is_file():
        return not_found(request, FileNotFoundError())
    return FileResponse(path, media_type="application/zip", filename=path.name)


def public_key(request: Request) -> Response:
    """The key that receivers verify with."""
    return FileResponse(_workspace(request).layout.release_public_key, filename="release.pub")


def ledger(request: Request) -> Response:
    """The chain's status and its entries, newest first."""
    asked = request.query_params
    before = int(asked["before"]) if _PLACE.fullmatch(asked.get("before", "")) else None
    kind, about = asked.get("kind", ""), asked.get("about", "")[:200]
    with _workspace(request).ledger() as opened:
        lines, older = views.entries(opened, before=before, kind=kind, about=about)
        if _piece(request):
            return page(request, "_entries.html.j2", lines=lines, older=older, kind=kind, about=about)
        return page(
            request, "ledger.html.j2", lines=lines, older=older, kind=kind, about=about,
            kinds=[k.value for k in Kind], status_of_chain=views.chain_status(opened), keys=views.ledger_keys(opened),
        )  # fmt: skip


def check(request: Request) -> Response:
    """Every signature of the chain."""
    with _workspace(request).ledger() as opened:
        status = views.chain_status(opened, all_signatures=True)
    return page(request, "_chain.html.j2" if _piece(request) else "chain.html.j2", status_of_chain=status)


def budgets(request: Request) -> Response:
    """The budgets of every data set."""
    return page(request, "budgets.html.j2", families=views.budgets(_workspace(request)))


def style(_request: Request) -> Response:
    """The report's style sheet, which the console's own only adds to."""
    return Response(environment().globals["style"], media_type="text/css")


def refused(request: Request, error: Exception) -> Response:
    """A refusal as a page: what happened, and what to do."""
    remedy = getattr(error, "remedy", "") or ""
    return page(request, "refused.html.j2", status=409, message=getattr(error, "message", str(error)), remedy=remedy)


def not_found(request: Request, _error: Exception) -> Response:
    """No such page."""
    if "session" not in request.scope:
        return PlainTextResponse("Not found", status_code=404)
    return page(request, "refused.html.j2", status=404, message="There is no such page.", remedy="")


def too_large(_request: Request, _error: Exception) -> Response:
    """More was sent than any form of ours holds."""
    return PlainTextResponse("Too large", status_code=413, headers={"Connection": "close"})


def failed(request: Request, error: Exception) -> Response:
    """What nobody foresaw: its kind, on page and terminal, and not its words, which may quote a cell."""
    kind = type(error).__name__
    logging.getLogger("dpsynth.console").error("%s at %s", kind, request.url.path)
    headers = {**HEADERS, "Content-Security-Policy": PAGE_POLICY}
    said = f"The console failed with {kind}. The same command on the terminal says more."
    return PlainTextResponse(said, status_code=500, headers=headers)


def _workspace(request: Request) -> Workspace:
    found: Workspace = request.app.state.workspace
    return found


def _people(request: Request) -> tuple[Person, ...]:
    return views.people_at(_workspace(request), request.app.state.keys)


def _piece(request: Request) -> bool:
    """Whether htmx asks for a piece rather than a page."""
    return request.headers.get("hx-request") == "true"
