"""Who made a draft: its record in the ledger is signed by this workspace's generator key.

The key has one role, so the chain refuses a review by it; a policy that asks for reviews wants every draft attributed.

Not guaranteed: that the person who ran the generator holds no reviewer's key as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpsynth.release.documents import canonical
from dpsynth.release.entries import record_attempt
from dpsynth.release.policy_changes import kept, policy_entry
from dpsynth.workspace.keys import generator_key

if TYPE_CHECKING:
    from accounting.ledger import Ledger
    from dpsynth.release.evidence import DraftDocument
    from dpsynth.workspace.workspace import Workspace


def record_draft(workspace: Workspace, ledger: Ledger, draft: DraftDocument) -> None:
    """Enter a sealed draft into the ledger, by its keyed commitment, signed; and its policy, if that is new there."""
    policy = workspace.policy()
    if policy.digest() == draft.policy_digest and kept(ledger.entries(), draft.policy_digest) is None:
        ledger.append("policy", policy_entry(policy))
    commitment = workspace.vault.commit(canonical(draft.to_json()), purpose="document")
    record_attempt(ledger, draft, commitment, generator=generator_key(workspace, ledger))
