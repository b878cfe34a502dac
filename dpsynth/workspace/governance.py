"""What people do to a draft between the machine's verdict and the bundle: review, approve, withdraw, recall, appeal.

    for item in governance.queue(workspace): print(item.draft, item.state, item.next_step)
    governance.review(workspace, "claims-1", key="ada.key", vote="approve", reason="Limits hold, tails are fine.")
    governance.open_reviews(workspace, "claims-1", key="ada.key")      # where votes are blinded, once all are in
    governance.approve(workspace, "claims-1")

The console and the command line call these functions and nothing below them. Every act is one signed entry of the
ledger; whether it is allowed is read from the ledger (`dpsynth.release.states`), not from the caller. A reviewer's
private key is a file outside the workspace; a vote that lies sealed is kept beside it, in FILE.votes/.

Not guaranteed: that two keys are two people. In one account nobody can stop a person from holding both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounting.ledger import Signer
from accounting.ledger.entry import Entry, Kind
from dpsynth.core.errors import GateRefused, ParameterError, ReviewRefused, WorkspaceError
from dpsynth.release.approvals import governance_section
from dpsynth.release.documents import digest
from dpsynth.release.gate import Decision
from dpsynth.release.policy_changes import changes
from dpsynth.release.public_view import public_decision
from dpsynth.release.standing import Standing, State
from dpsynth.release.states import state_of
from dpsynth.workspace.layout import read_json

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from dpsynth.release.documents import JSON
    from dpsynth.workspace.workspace import Workspace

KEPT_SCHEMA = "dpsynth.sealed-vote/1"


def queue(workspace: Workspace) -> list[Standing]:
    """Every draft of this workspace with where it stands, oldest first."""
    with workspace.ledger() as ledger:
        entries = ledger.entries()
    return [_standing(workspace, entries, draft.name, draft.document.budget_id) for draft in workspace.drafts()]


def standing(workspace: Workspace, draft: str) -> Standing:
    """Where one draft stands, now."""
    with workspace.ledger() as ledger:
        return _of(workspace, ledger, draft)


def governance_document(workspace: Workspace, draft: str) -> dict[str, JSON]:
    """State, reviews, exceptions and changes of the policy, as the internal report shows them."""
    policy, reserved = workspace.policy(), workspace.draft(draft).document.policy_digest
    with workspace.ledger() as ledger:
        differ = changes(ledger.entries(), reserved, policy)
    return governance_section(standing(workspace, draft), policy, changes=differ)


def review(workspace: Workspace, draft: str, *, key: str | Path, vote: str, reason: str) -> Standing:
    """Vote on a draft; sealed where the policy wants blinded reviews, and then opened with `open_reviews`.

    Args:
        workspace: whose draft.
        draft: its name.
        key: file of a reviewer's private key, outside the workspace.
        vote: approve, return or reject.
        reason: in words; published with the bundle, so no confidential figure belongs here.

    Raises:
        ReviewRefused: the draft does not wait for reviews, or this reviewer has voted.
        KeyRefused: the key may not review.
    """
    path, signer = _reviewer(workspace, key)
    with workspace.ledger(write=True) as ledger:
        _of(workspace, ledger, draft).require_votes()
        budget = workspace.draft(draft).document.budget_id
        asked = workspace.policy().review
        if asked is not None and not asked.counts(signer.key_id):
            raise ReviewRefused(
                f"The policy names the reviewers whose votes count, and key {signer.key_id} is none of them.",
                "Have one of them review, or change the policy before the next draft is made.",
            )
        if asked is not None and asked.sealed:
            _beside(path)
            secret = ledger.seal_vote(budget, draft, vote=vote, reason=reason, of=asked.approvals, reviewer=signer)
            kept: dict[str, Any] = {
                "schema": KEPT_SCHEMA,
                "ledger_id": ledger.ledger_id,
                "draft": draft,
                "entry": secret.entry.seq,
                "vote": secret.vote.value,
                "reason": secret.reason,
                "salt": secret.salt,
            }
            _keep(_secret(path, signer, ledger.ledger_id, budget, draft), kept)
        else:
            ledger.review(budget, draft, vote=vote, reason=reason, reviewer=signer)
        return _of(workspace, ledger, draft)


def open_reviews(workspace: Workspace, draft: str, *, key: str | Path) -> Standing:
    """Open this reviewer's sealed vote, once as many are in as the policy asks for.

    Raises:
        ReviewRefused: it was not sealed on the evidence as it stands, or others are not in yet.
        WorkspaceError: the file beside the key is gone.
    """
    path, signer = _reviewer(workspace, key)
    budget = workspace.draft(draft).document.budget_id
    with workspace.ledger(write=True) as ledger:
        _check_blind(workspace, ledger, draft)
        kept = _secret(path, signer, ledger.ledger_id, budget, draft)
        if not kept.is_file():
            raise WorkspaceError(
                f"There is no sealed vote on '{draft}' beside this key ({kept}).",
                "Restore the file; or, as long as no vote was opened, review again.",
            )
        said = read_json(kept)
        ledger.open_vote(budget, draft, vote=said["vote"], reason=said["reason"], salt=said["salt"], reviewer=signer)
        return _of(workspace, ledger, draft)


def approve(workspace: Workspace, draft: str) -> Standing:
    """End the review of a draft whose votes suffice.

    Raises:
        ReviewRefused: they do not, with what is missing.
    """
    with workspace.ledger(write=True) as ledger:
        _of(workspace, ledger, draft).require(State.REVIEWED)
        ledger.approve(workspace.draft(draft).document.budget_id, draft)
        return _of(workspace, ledger, draft)


def withdraw(workspace: Workspace, draft: str, *, reason: str) -> Standing:
    """Take a draft back before it left, for ever; its cost and its attempt stay on record.

    Raises:
        ReviewRefused: it left, or was withdrawn already.
    """
    with workspace.ledger(write=True) as ledger:
        ledger.withdraw(workspace.draft(draft).document.budget_id, draft, reason=reason)
        return _of(workspace, ledger, draft)


def appeal(workspace: Workspace, draft: str, *, rule: str, owner: str, reason: str) -> Standing:
    """Ask for a rule to be waived that failed; reviewers decide, and everybody is shown.

    Args:
        workspace: whose draft.
        draft: its name.
        rule: of the gate; one that failed, and that the policy lists as waivable.
        owner: who asks and answers for it, by name; published.
        reason: in words; published.

    Raises:
        ReviewRefused: the rule did not fail, or the policy lets nobody waive it.
    """
    with workspace.ledger(write=True) as ledger:
        asked = workspace.policy().review
        waivable = () if asked is None else asked.waivable
        if rule not in waivable:
            raise ReviewRefused(
                f"Rule {rule} cannot be waived under this policy, which lists {', '.join(waivable) or 'none'}.",
                "Synthesize another draft. Privacy is never waived.",
            )
        decision = _decision(workspace, draft)
        failed = [one.name for one in decision.failed if one.on_fail != "warn"] if decision is not None else []
        if rule not in failed:
            raise ReviewRefused(
                f"Rule {rule} did not fail in the last decision on '{draft}'; failed: {', '.join(failed) or 'none'}.",
                "Appeal against a rule that failed.",
            )
        ledger.appeal(workspace.draft(draft).document.budget_id, draft, rule=rule, owner=owner, reason=reason)
        return _of(workspace, ledger, draft)


def recall(workspace: Workspace, release: str, *, reason: str) -> dict[str, JSON]:
    """Call a release back; returns the signed notice, to be published under the release's own id.

    Args:
        workspace: that released it.
        release: its id, or the name of its draft.
        reason: in words; published.

    Raises:
        ReviewRefused: nothing was released under this name.
    """
    with workspace.ledger(write=True) as ledger:
        left = _left(workspace, ledger, release)
        body = [e.body for e in ledger.entries() if e.kind is Kind.RELEASE and _of_release(e) == left][-1]
        entry = ledger.recall(
            *left,
            root=str(body["root"]),
            reason=reason,
            signer=Signer.load(workspace.layout.release_key),
        )
    return {name: value for name, value in entry.body.items() if name not in {"kind", "nonce", "time", "budget_id"}}


def _of_release(entry: Entry) -> tuple[str, str]:
    return str(entry.body["budget_id"]), str(entry.body["release"])


def _left(workspace: Workspace, ledger: Ledger, name: str) -> tuple[str, str]:
    """Budget and id of the one release that a name means: its own, or that of its draft, here rather than elsewhere."""
    own = {draft.document.budget_id for draft in workspace.drafts() if draft.name == name}
    made = [
        (one, release)
        for one in ledger.desk()
        for release in dict.fromkeys(one.releases)
        if name == release or (name == one.draft and (not own or one.budget_id in own))
    ]
    if not made:
        raise ReviewRefused(f"Nothing was released as '{name}'.", "See: dpsynth ledger show.")
    left = [(one.budget_id, release) for one, release in made if release not in one.recalled]
    if not left:
        raise ReviewRefused(f"'{name}' was called back already.", "Publish its notice: dpsynth ledger show.")
    if len(left) > 1:
        several = ", ".join(release for _, release in left)
        raise ReviewRefused(f"'{name}' left more than once: as {several}.", "Recall each of them by its id.")
    return left[0]


def _of(workspace: Workspace, ledger: Ledger, draft: str) -> Standing:
    return _standing(workspace, ledger.entries(), draft, workspace.draft(draft).document.budget_id)


def _standing(workspace: Workspace, entries: Sequence[Entry], draft: str, budget_id: str) -> Standing:
    decision = _decision(workspace, draft)
    return state_of(
        entries,
        workspace.policy(),
        draft,
        budget_id=budget_id,
        decision=None if decision is None else public_decision(decision),
        now=datetime.now(UTC),
    )


def _decision(workspace: Workspace, draft: str) -> Decision | None:
    """The stored decision, if there is one that can be read; the ledger says whether it is the last."""
    path = workspace.layout.drafts / draft / "decision.json"
    if not path.is_file():
        return None
    try:
        return Decision.from_json(read_json(path))
    except (GateRefused, WorkspaceError):
        return None


def _reviewer(workspace: Workspace, key: str | Path) -> tuple[Path, Signer]:
    path = Path(key)
    if path.resolve().is_relative_to(workspace.layout.root):
        raise ParameterError(
            f"'{path}' is in the workspace: whoever made the draft could review it with this key.",
            "A reviewer's private key stays with its holder.",
        )
    return path, Signer.load(path)


def _check_blind(workspace: Workspace, ledger: Ledger, draft: str) -> None:
    """Votes that the policy does not count do not make up the number that lies sealed before the first is opened.

    Raises:
        ReviewRefused: whoever votes after this one would know it.
    """
    asked, known = workspace.policy().review, ledger.keys()
    found = ledger.desk().get(workspace.draft(draft).document.budget_id, draft)
    if asked is None or found is None or found.votes:
        return
    waiting = [name for name in found.sealed if asked.counts(name) and known[name].revoked is None]
    if len(waiting) < asked.approvals:
        raise ReviewRefused(
            f"Expected {asked.approvals} sealed votes by reviewers that count before the first is opened; there are "
            f"{len(waiting)} (rule reviews).",
            "Wait for the other reviewers.",
        )


def _beside(key: Path) -> Path:
    """The folder for sealed votes beside a key; made before a vote is sealed that could not be kept.

    Raises:
        WorkspaceError: nothing can be written there.
    """
    folder = key.with_name(f"{key.name}.votes")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise WorkspaceError(
            f"The sealed vote is kept in '{folder}', where nothing can be written ({error.strerror}).",
            "Keep the key in a folder of your own; nothing was recorded.",
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WorkspaceError(f"'{folder}' cannot be written.", "Give yourself access; nothing was recorded.")
    return folder


def _secret(key: Path, signer: Signer, ledger_id: str, budget_id: str, draft: str) -> Path:
    about = digest([ledger_id, budget_id, draft, signer.key_id])
    return key.with_name(f"{key.name}.votes") / f"{draft}.{about[:16]}.json"


def _keep(path: Path, body: Mapping[str, Any]) -> None:
    """Written before anybody needs it, readable by the reviewer alone."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(dict(body), out)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
