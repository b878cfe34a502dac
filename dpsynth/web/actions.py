"""What a person decides at the console: one form, one function of `dpsynth.workspace.governance`, one signed entry.

The functions are those of the command line; nothing is written by other means. A form is good for an act that
`dpsynth.web.acts` offers to its key now, and is then decided once more by the function, from the ledger, so a page that
was kept open too long is refused with the reason.

Not guaranteed: that the person at the browser is the holder of the key; whoever has the account has both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from dpsynth.core.errors import ReviewRefused
from dpsynth.release.card import NOT_STATED
from dpsynth.web import views
from dpsynth.web.access import check_form
from dpsynth.workspace import governance
from dpsynth.workspace.releasing import internal_model

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from dpsynth.web.acts import Person
    from dpsynth.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a person sent: the fields of any act, empty where it has none."""

    draft: str
    person: Person
    choice: str
    rule: str
    owner: str
    licence: str
    reason: str


async def act(request: Request) -> Response:
    """Do what a form asks for, and show the draft again."""
    sent = await request.form()
    check_form(request, str(sent.get("csrf", "")))
    name, draft = str(request.path_params["act"]), str(request.path_params["draft"])
    said = await run_in_threadpool(_do, request, name, draft, {key: str(value) for key, value in sent.items()})
    request.session["said"] = said
    return RedirectResponse(request.url_for("draft", draft=draft).path, status_code=303)


def _do(request: Request, name: str, draft: str, sent: Mapping[str, str]) -> str:
    workspace: Workspace = request.app.state.workspace
    case = views.case(
        workspace.draft(draft),
        internal_model(workspace.draft(draft)),
        views.people_at(workspace, request.app.state.keys),
    )
    found = next((one for one in case.acts if one.name == name), None)
    person = next((one for one in (found.keys if found else ()) if one.key_id == sent.get("key")), None)
    if found is None or person is None:
        raise ReviewRefused(
            f"This console cannot do '{name[:20]}' to '{draft}' as it stands, with the keys that it was started with.",
            "Open the draft again: the page offers what can be done now, and to whom.",
        )
    form = Form(
        draft=draft,
        person=person,
        choice=sent.get("choice", ""),
        rule=sent.get("rule", ""),
        owner=sent.get("owner", ""),
        licence=sent.get("licence", "").strip() or NOT_STATED,
        reason=sent.get("reason", "").strip(),
    )
    return _DOING[name](workspace, form)


def _review(workspace: Workspace, form: Form) -> str:
    governance.review(workspace, form.draft, key=form.person.path, vote=form.choice, reason=form.reason)
    return "Your vote is in the ledger."


def _open(workspace: Workspace, form: Form) -> str:
    governance.open_reviews(workspace, form.draft, key=form.person.path)
    return "Your vote is open."


def _approve(workspace: Workspace, form: Form) -> str:
    governance.approve(workspace, form.draft)
    return "Approved: the draft may be released."


def _release(workspace: Workspace, form: Form) -> str:
    workspace.layout.releases.mkdir(exist_ok=True)
    release = workspace.draft(form.draft).release(views.bundle_of(workspace, form.draft), licence=form.licence)
    held = release.verify()
    return f"Released, and verified as a receiver would: {len(held.checks)} checks hold."


def _ask(workspace: Workspace, form: Form) -> str:
    governance.appeal(workspace, form.draft, rule=form.rule, owner=form.owner, reason=form.reason)
    return "The appeal is in the ledger; reviewers decide."


def _withdraw(workspace: Workspace, form: Form) -> str:
    governance.withdraw(workspace, form.draft, reason=form.reason)
    return "Withdrawn."


def _recall(workspace: Workspace, form: Form) -> str:
    governance.recall(workspace, form.draft, reason=form.reason)
    return "Recalled. Publish the notice where the release was published."


_DOING: Final[Mapping[str, Callable[[Workspace, Form], str]]] = {
    "review": _review,
    "open": _open,
    "approve": _approve,
    "release": _release,
    "appeal": _ask,
    "withdraw": _withdraw,
    "recall": _recall,
}
