"""What a receiver runs: does this bundle prove its claim, given a public key and nothing else?

`Verifier` holds all checks and no I/O; bytes come from `archive.read_bundle`. Order, bytes before meaning:

* The list of files is closed and their names are plain, before any file is opened.
* The key comes from the receiver. The one in the bundle is data like the rest.
* The signature is checked before the statement is parsed.
* Every file's SHA-256 is compared with the signed statement before any other file is parsed.
* Every document is parsed strictly and of a known version, before two documents are compared.
* The ledger slice is checked as a chain before anything in it is believed; the release entry must name this root.
* Reviews are counted again from the chain, under the policy in the bundle, as of the entry of this release.
* The guarantee is recomputed from the committed events; what the documents say about it must agree with that.
* The first failure ends the run: what was not reached is not ok. An unknown failure is a failure.

>>> verify("no such bundle", key=bytes(32)).checks[0].code
'missing_bundle'

Not guaranteed: that the publisher's key is whose you think, that the ledger's owner keeps no second chain (compare
heads of several bundles: `anchor`), or that CSV and Parquet hold the same rows (both are signed, Parquet counts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from accounting.errors import AccountingError
from accounting.guarantee import Guarantee
from accounting.ledger.entry import Entry, Head, Kind
from accounting.ledger.errors import LedgerTampered, SliceRefused
from accounting.ledger.evidence.parsing import check_size
from accounting.ledger.slice import SliceFacts, verify_slice
from dpsynth.core.errors import PolicyError, ReviewRefused
from dpsynth.release.agreement import check_agreement
from dpsynth.release.approvals import check_may_leave, governance_section, waived
from dpsynth.release.archive import Contents, read_bundle
from dpsynth.release.card import Card, read_card
from dpsynth.release.check_decision import check_decision, check_policy
from dpsynth.release.check_guarantee import check_budget, check_guarantee
from dpsynth.release.documents import JSON, Refusal, parse_json
from dpsynth.release.dsse import open_envelope
from dpsynth.release.evidence import LedgerFacts
from dpsynth.release.family import budget_section, chain_notes
from dpsynth.release.figures import notes as figure_notes
from dpsynth.release.keys import read_public_key
from dpsynth.release.layout import LEDGER, MEMBERS, STATEMENT, present, root
from dpsynth.release.ledger_facts import ledger_facts
from dpsynth.release.policy import Policy
from dpsynth.release.public_view import DECISION_SCHEMA, EVIDENCE_SCHEMA
from dpsynth.release.recalls import check_not_recalled, read_notices
from dpsynth.release.standing import times
from dpsynth.release.statement import Predicate, Statement, read_statement
from dpsynth.release.verification import Check, VerificationReport


def verify(
    bundle: str | Path,
    key: str | Path | bytes,
    *,
    anchor: Head | None = None,
    ledger_key: str | Path | bytes | None = None,
    recalls: str | Path | None = None,
) -> VerificationReport:
    """Check a bundle (folder or `.zip`) against the publisher's public key. Reads only; needs no network.

    Args:
        bundle: its path.
        key: path of a PEM, hexadecimal or raw Ed25519 public key, or its 32 raw bytes.
        anchor: head of the ledger seen in an earlier bundle, which this one's chain must contain.
        ledger_key: the ledger's own public key, first or rotated to, of a receiver who holds one; its chain must lead
            to it. Without it the statement's word is taken, which the release key signed.
        recalls: file of recall notices that the receiver has from the publisher (`dpsynth.release.recalls`).

    Returns:
        A report; problems of bundle and key are in it, not raised.
    """
    return examine(bundle, key, anchor=anchor, ledger_key=ledger_key, recalls=recalls)[0]


def examine(
    bundle: str | Path,
    key: str | Path | bytes,
    *,
    anchor: Head | None = None,
    ledger_key: str | Path | bytes | None = None,
    recalls: str | Path | None = None,
) -> tuple[VerificationReport, Verifier | None]:
    """`verify`, and the documents that it accepted; None unless every check passed."""
    path = Path(bundle)
    warnings: tuple[str, ...] = ()
    if not isinstance(key, bytes) and path.is_dir() and Path(key).resolve().is_relative_to(path.resolve()):
        warnings = ("The key was taken from the bundle itself, so its signature proves only that it was not damaged.",)
    try:
        contents = read_bundle(path)
    except Refusal as refusal:
        return _report([_failed("layout", refusal)], warnings=warnings), None
    checks = [Check(name="layout", ok=True, code="ok", reason="The bundle holds exactly the files of a bundle.")]
    try:
        public_key = read_public_key(key)
        pinned = None if ledger_key is None else read_public_key(ledger_key)
        called_back = () if recalls is None else read_notices(recalls)
    except Refusal as refusal:
        return _report([*checks, _failed("key", refusal)], warnings=warnings), None
    checks.append(Check(name="key", ok=True, code="ok", reason="The public key was given by the receiver."))
    verifier = Verifier(contents, public_key, anchor, pinned, called_back)
    for name, check, reason in verifier.steps():
        try:
            check()
        except Refusal as refusal:
            return _report([*checks, _failed(name, refusal)], warnings=warnings), None
        except AccountingError as error:
            return _report([*checks, _failed(name, Refusal("accounting_refused", str(error)))], warnings=warnings), None
        checks.append(Check(name=name, ok=True, code="ok", reason=reason))
    accepted = VerificationReport(
        ok=True,
        checks=tuple(checks),
        guarantee=verifier.guarantee,
        privacy=verifier.card.privacy,
        budget=budget_section(verifier.slice, verifier.statement.predicate.budget_id),
        governance=verifier.governance,
        warnings=(
            *warnings,
            *chain_notes(verifier.slice),
            *figure_notes(verifier.guarantee.epsilon, verifier.facts.figures),
        ),
        not_checked=verifier.not_checked,
    )
    return accepted, verifier


class Verifier:
    """All checks after the layout, in order; each raises `Refusal` or records what later ones may rely on."""

    statement: Statement
    card: Card
    decision: Mapping[str, JSON]
    evidence: Mapping[str, JSON]
    policy: Policy
    slice: SliceFacts
    facts: LedgerFacts
    release: Entry
    guarantee: Guarantee
    governance: Mapping[str, JSON] | None
    _raw: Mapping[str, JSON]

    def __init__(
        self,
        contents: Contents,
        public_key: bytes,
        anchor: Head | None,
        ledger_key: bytes | None = None,
        notices: Sequence[Mapping[str, JSON]] = (),
    ) -> None:
        self._contents = contents
        self._key = public_key
        self._anchor = anchor
        self._ledger_key = ledger_key
        self._notices = notices
        self._payload = b""
        self.not_checked: tuple[str, ...] = ()

    def steps(self) -> tuple[tuple[str, Callable[[], None], str], ...]:
        """Name, check, and the sentence for success; the order is part of the security argument."""
        return (
            ("signature", self._signature, "The statement was signed with the given key."),
            ("statement", self._statement, "The statement is well-formed and of a known version."),
            ("files", self._files, "Every file is the one that was signed."),
            ("documents", self._documents, "Every document is well-formed and of a known version."),
            ("ledger", self._ledger, "The ledger slice is one unbroken, signed chain up to the stated head."),
            ("release_entry", self._release_entry, "The ledger records this release of exactly these files."),
            ("release_key", self._release_key, "The ledger vouches for the key that signed."),
            ("reviews", self._reviews, "As many reviewers approved as the policy asks for, and nobody took it back."),
            ("decision", self._decision, "Every rule passed, or was waived by reviewers for all to see."),
            ("policy", self._policy, "The policy is the one that was reserved and decided under, and holds."),
            ("draft", self._draft, "Card, report, evidence and decision are about the same draft."),
            ("guarantee", self._guarantee, "The guarantee follows from the committed events."),
            ("budget", self._budget, "Card and report show the budget that paid, with every amendment."),
            ("not_recalled", self._not_recalled, "Neither the ledger nor a notice calls this release back."),
        )

    @property
    def _claims(self) -> Predicate:
        return self.statement.predicate

    def _signature(self) -> None:
        self._payload = open_envelope(self._contents.small[STATEMENT], public_key=self._key)

    def _statement(self) -> None:
        self.statement = read_statement(self._payload)
        names = [subject.name for subject in self.statement.subject]
        if names != [name for name in present(self._contents.sha256) if name != STATEMENT]:
            raise Refusal("subjects", "The statement does not cover exactly the files of a bundle.")

    def _files(self) -> None:
        for name, signed in self.statement.digests.items():
            if self._contents.sha256[name] != signed:
                raise Refusal("file_altered", f"{name} is not the file that was signed.", "Fetch the bundle anew.")
        if root(self._contents.sha256) != self._claims.root:
            raise Refusal("root_mismatch", "The statement's root is not the root of its files.")

    def _documents(self) -> None:
        small = self._contents.small
        self.card = read_card(small["card.yaml"])
        self.decision = _versioned(small["decision.json"], "decision.json", DECISION_SCHEMA)
        self.evidence = _versioned(small["evidence.json"], "evidence.json", EVIDENCE_SCHEMA)
        try:
            self.policy = Policy.from_yaml(small["policy.yaml"])
        except PolicyError as error:
            raise Refusal("policy_malformed", error.message) from None

    def _ledger(self) -> None:
        claimed = self._claims.ledger
        try:
            check_size(self._contents.small[LEDGER], MEMBERS[LEDGER].limit)
            raw = parse_json(self._contents.small[LEDGER], name=LEDGER, limit=MEMBERS[LEDGER].limit)
            self._raw = raw
            self.slice = verify_slice(raw, ledger_key=bytes.fromhex(claimed.public_key), anchor=self._anchor)
        except (SliceRefused, LedgerTampered) as refused:
            code = f"ledger_{refused.reason.value.replace('-', '_')}"
            raise Refusal(code, refused.message.partition("] ")[2], refused.remedy) from None
        if self._ledger_key is not None and all(self._ledger_key != k.public_key for k in self.slice.ledger_keys):
            raise Refusal("ledger_foreign_ledger", "The ledger in the bundle is not the one of the given ledger key.",
                          "Ask the publisher how its key changed: dpsynth keys show.")  # fmt: skip
        if (self.slice.ledger_id, *self.slice.head) != (claimed.id, claimed.head.seq, claimed.head.hash):
            raise Refusal("head_mismatch", "The ledger in the bundle is not the one, or not at the head, that the "
                          "statement names.")  # fmt: skip

    def _release_entry(self) -> None:
        claims = self._claims
        found = [entry for entry in self.slice.of(Kind.RELEASE) if entry.body.get("release") == claims.release]
        if not found:
            raise Refusal("release_entry_missing", "The ledger in the bundle does not record this release.")
        self.release = found[-1]
        body = self.release.body
        if body.get("root") != claims.root:
            raise Refusal("root_mismatch", "The ledger records this release with other files.")
        for name in ("budget_id", "draft", "draft_digest", "decision", "decision_digest", "policy_digest",
                     "reservation_id", "commit", "guarantee", "release_key"):  # fmt: skip
            if body.get(name) != getattr(claims, name):
                raise Refusal("release_entry_mismatch", f"Statement and ledger contradict each other on {name}.")
        self.facts = ledger_facts(
            self.slice,
            budget_id=claims.budget_id,
            reservation_id=claims.reservation_id,
            draft=claims.draft,
            before=self.release.seq,
        )
        facts = self.facts
        pairs = {
            "commit": (claims.commit, facts.commit_hash),
            "dataset": (claims.dataset, facts.dataset),
            "source_commitment": (claims.source_commitment, facts.source_commitment),
            "noise": (claims.noise, "seeded" if facts.seeded_noise else "exact"),
        }
        for name, (claim, recorded) in pairs.items():
            if claim != recorded:
                raise Refusal("release_entry_mismatch", f"Statement and ledger contradict each other on {name}.")

    def _release_key(self) -> None:
        key = self.slice.keys.get(self._claims.release_key)
        if key is None or key.role != "release" or key.public_key != self._key or key.added > self.release.seq:
            raise Refusal("release_key_unknown", "The ledger did not authorise this key to sign releases.")
        if key.revoked is not None:
            raise Refusal("key_revoked", "The ledger shows that the signing key was revoked.",
                          "Ask the publisher for a bundle signed with the current key.")  # fmt: skip

    def _reviews(self) -> None:
        """The draft was approved when it left, by the policy in the bundle; the card says by whom, and what for."""
        claims, governance = self._claims, None
        self.waived: frozenset[str] = frozenset()
        if self.policy.review is not None:
            try:
                standing = check_may_leave(
                    [entry for entry in self.slice.entries if entry.seq < self.release.seq],
                    self.policy,
                    claims.draft,
                    budget_id=claims.budget_id,
                    decision=self.decision,
                    now=times(self.slice.entries)[self.release.seq],
                )
            except ReviewRefused as refused:
                raise Refusal("not_approved", refused.message) from None
            self.waived = waived(standing, self.policy)
            governance = governance_section(standing, self.policy)
        if self.card.governance != governance:
            raise Refusal("governance_mismatch", "The card shows other reviews, exceptions or another policy than the "
                          "ledger.")  # fmt: skip
        self.governance = governance

    def _decision(self) -> None:
        check_decision(
            self.decision, self._claims, self.facts, self.card, policy=self.policy, waived=self.waived
        )  # fmt: skip

    def _policy(self) -> None:
        check_policy(self.policy, self._claims, self.decision, self.evidence, self.facts, self.card, waived=self.waived)

    def _draft(self) -> None:
        claims, card = self._claims, self.card
        expected = (claims.draft, claims.draft_digest)
        for name, document in (("decision.json", self.decision), ("evidence.json", self.evidence)):
            if (document.get("draft"), document.get("draft_digest")) != expected:
                raise Refusal("other_draft", f"{name} is about another draft.")
        if (card.draft, card.draft_digest) != expected:
            raise Refusal("other_draft", "card.yaml is about another draft.")
        if claims.draft_digest.encode() not in self._contents.small["report.html"]:
            raise Refusal("other_draft", "report.html is not about this draft.")
        check_agreement(card, claims, self.facts, self.slice, self.evidence, self.decision)

    def _budget(self) -> None:
        html = self._contents.small["report.html"]
        check_budget(self.card, self._claims, self.slice, self._raw, self.release, html)

    def _guarantee(self) -> None:
        self.guarantee, self.not_checked = check_guarantee(self.card, self._claims, self.facts, self.slice)

    def _not_recalled(self) -> None:
        if any(entry.body.get("release") == self._claims.release for entry in self.slice.of(Kind.RECALL)):
            raise Refusal("recalled", "The publisher called this release back.", "Do not use these rows.")
        known = [key.public_key for key in self.slice.keys.values() if key.role == "release"]
        check_not_recalled(
            self._notices,
            ledger_id=self.slice.ledger_id,
            release=self._claims.release,
            root=self._claims.root,
            keys=[self._key, *known],
        )


def _versioned(raw: bytes, name: str, schema: str) -> dict[str, JSON]:
    body = parse_json(raw, name=name)
    if body.get("schema") != schema:
        raise Refusal("unknown_schema_version", f"{name} is of a version that this verifier does not know.",
                      "Use the version of dpsynth that wrote it, or a newer one.")  # fmt: skip
    return body


def _failed(name: str, refusal: Refusal) -> Check:
    return Check(name=name, ok=False, code=refusal.code, reason=str(refusal))


def _report(checks: list[Check], *, warnings: tuple[str, ...]) -> VerificationReport:
    """The answer after a failure; what was not reached is not ok."""
    reached = {check.name for check in checks}
    names = ["key", *(name for name, _, _ in Verifier.steps(Verifier.__new__(Verifier)))]
    why = "Not reached: an earlier check failed."
    skipped = [Check(name=name, ok=False, code="not_reached", reason=why) for name in names if name not in reached]
    return VerificationReport(ok=False, checks=(*checks, *skipped), guarantee=None, warnings=warnings)
