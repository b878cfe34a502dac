"""What a receiver runs: does this bundle prove its claim, given a public key and nothing else?

`Verifier` holds all checks and no I/O; bytes come from `archive.read_bundle`. Order, bytes before meaning:

* The list of files is closed and their names are plain, before any file is opened.
* The key comes from the receiver. The one in the bundle is data like the rest.
* The signature is checked before the statement is parsed.
* Every file's SHA-256 is compared with the signed statement before any other file is parsed.
* Every document is parsed strictly and of a known version, before two documents are compared.
* The ledger slice is checked as a chain before anything in it is believed; the release entry must name this root.
* The guarantee is recomputed from the committed events; what the documents say about it must agree with that.
* The first failure ends the run: what was not reached is not ok. An unknown failure is a failure.

>>> verify("no such bundle", key=bytes(32)).checks[0].code
'missing_bundle'

Not guaranteed: that the publisher's key is whose you think, that the ledger's owner keeps no second chain (compare
heads of several bundles: `anchor`), or that CSV and Parquet hold the same rows (both are signed, Parquet counts).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from accounting.errors import AccountingError
from accounting.guarantee import Guarantee
from accounting.ledger.entry import Entry, Head, Kind
from accounting.ledger.errors import LedgerTampered, SliceRefused
from accounting.ledger.evidence.parsing import check_size
from accounting.ledger.slice import SliceFacts, verify_slice
from accounting.privacy_report import report
from dpsynth.core.errors import PolicyError
from dpsynth.release.agreement import check_agreement
from dpsynth.release.archive import Contents, read_bundle
from dpsynth.release.asked import IDENTIFIERS, IDENTIFIERS_LIMIT, NO_LIMITS, attacks_asked
from dpsynth.release.card import Card, read_card
from dpsynth.release.documents import JSON, Refusal, digest, parse_json
from dpsynth.release.dsse import open_envelope
from dpsynth.release.evidence import Evidence, LedgerFacts
from dpsynth.release.family import budget_as_of, budget_section, chain_notes, is_plain
from dpsynth.release.figures import notes as figure_notes
from dpsynth.release.keys import read_public_key
from dpsynth.release.layout import LEDGER, MEMBERS, STATEMENT, root
from dpsynth.release.ledger_facts import check_charge, committed, ledger_facts
from dpsynth.release.policy import Policy
from dpsynth.release.privacy import ceiling_of, flattery, privacy_section
from dpsynth.release.public_view import DECISION_SCHEMA, EVIDENCE_SCHEMA
from dpsynth.release.rules import RULES, load_rule
from dpsynth.release.statement import Predicate, Statement, read_statement
from dpsynth.release.verification import Check, VerificationReport
from dpsynth.tabular import BASELINES

TOLERANCE: Final = Decimal("1e-4")
_LATER_RULES: Final = ("guarantee_given", "recipient", "published_figures")  # not in old decisions; asked here
_FROM_LEDGER: Final = (*_LATER_RULES, "epsilon_per_release", "epsilon_total", "noise_exact", "attempts")


def verify(
    bundle: str | Path,
    key: str | Path | bytes,
    *,
    anchor: Head | None = None,
    ledger_key: str | Path | bytes | None = None,
) -> VerificationReport:
    """Check a bundle (folder or `.zip`) against the publisher's public key. Reads only; needs no network.

    Args:
        bundle: its path.
        key: path of a PEM, hexadecimal or raw Ed25519 public key, or its 32 raw bytes.
        anchor: head of the ledger seen in an earlier bundle, which this one's chain must contain.
        ledger_key: the ledger's own public key, first or rotated to, of a receiver who holds one; its chain must lead
            to it. Without it the statement's word is taken, which the release key signed.

    Returns:
        A report; problems of bundle and key are in it, not raised.
    """
    return examine(bundle, key, anchor=anchor, ledger_key=ledger_key)[0]


def examine(
    bundle: str | Path,
    key: str | Path | bytes,
    *,
    anchor: Head | None = None,
    ledger_key: str | Path | bytes | None = None,
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
    except Refusal as refusal:
        return _report([*checks, _failed("key", refusal)], warnings=warnings), None
    checks.append(Check(name="key", ok=True, code="ok", reason="The public key was given by the receiver."))
    verifier = Verifier(contents, public_key, anchor, pinned)
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
        warnings=(
            *warnings,
            *chain_notes(verifier.slice),
            *figure_notes(verifier.guarantee.epsilon, verifier.facts.figures),
        ),
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
    _raw: Mapping[str, JSON]

    def __init__(
        self, contents: Contents, public_key: bytes, anchor: Head | None, ledger_key: bytes | None = None
    ) -> None:
        self._contents = contents
        self._key = public_key
        self._anchor = anchor
        self._ledger_key = ledger_key
        self._payload = b""

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
            ("decision", self._decision, "The decision is ship, and every rule passed."),
            ("policy", self._policy, "The policy is the one that was reserved and decided under, and holds."),
            ("draft", self._draft, "Card, report, evidence and decision are about the same draft."),
            ("guarantee", self._guarantee, "The guarantee follows from the committed events."),
            ("budget", self._budget, "Card and report show the budget that paid, with every amendment."),
            ("not_recalled", self._not_recalled, "The ledger shows no recall of this release."),
        )

    @property
    def _claims(self) -> Predicate:
        return self.statement.predicate

    def _signature(self) -> None:
        self._payload = open_envelope(self._contents.small[STATEMENT], public_key=self._key)

    def _statement(self) -> None:
        self.statement = read_statement(self._payload)
        names = [subject.name for subject in self.statement.subject]
        if names != [name for name in MEMBERS if name != STATEMENT]:
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

    def _decision(self) -> None:
        decision, claims = self.decision, self._claims
        if digest(decision) != claims.decision_digest:
            raise Refusal("decision_mismatch", "decision.json is not the decision that the ledger records.")
        if self.facts.recorded["decision"][-1:] != (claims.decision_digest,):
            raise Refusal("decision_mismatch", "The ledger's last decision on this draft is another one.")
        if decision.get("decision") != "ship" or claims.decision != "ship":
            raise Refusal("decision_not_ship", f"The gate's decision was {_word(decision.get('decision'))}.")
        rules = decision.get("rules")
        asked = {str(rule.get("name")): rule for rule in _objects(rules)}
        unasked = {*_LATER_RULES, *(() if self.card.lineage is not None else ("real_anchor",))}
        lacking = [name for name in RULES if name not in asked and name not in unasked]
        if lacking:
            raise Refusal("rule_missing", f"The decision was taken without the rule {lacking[0]}.")
        for name, rule in asked.items():
            if rule.get("passed") is not True and rule.get("on_fail") != "warn":
                raise Refusal("rule_failed", f"The decision says ship, but its rule {_word(name)} failed.")
        recorded = {"draft": "attempt", "attack": "attack", "quality": "quality"}
        commitments = decision.get("commitments")
        for name, kind in recorded.items():
            last = self.facts.recorded[kind][-1:]
            judged = commitments.get(name) if isinstance(commitments, Mapping) else None
            if last != ((judged,) if judged is not None else ()):
                raise Refusal(
                    "stale_evidence", f"The decision judged another {name}.json than the ledger records last."
                )

    def _policy(self) -> None:
        applied = self.policy.digest()
        for who, other in (
            ("statement", self._claims.policy_digest),
            ("decision", self.decision.get("policy_digest")),
            ("reservation", self.facts.reserved_policy),
            ("card", self.card.policy.digest),
        ):
            if applied != other:
                raise Refusal("policy_mismatch", f"policy.yaml is not the policy that the {who} names.")
        ledger_only = Evidence(draft=None, attack=None, quality=None, ledger=self.facts, commitments={}, problems={})
        for name in _FROM_LEDGER:
            found = load_rule(name).check(ledger_only, self.policy)
            if not found.passed:
                raise Refusal(f"policy_{name}", found.reason)
        guarantee, limits = self.facts.guarantee, self.policy.guarantee
        if guarantee.delta > limits.max_delta or guarantee.delta * self.card.row_total > limits.max_delta_times_rows:
            raise Refusal("policy_delta", "Delta is above the policy's limit.")
        if guarantee.relation.value not in limits.relations or guarantee.unit.kind not in limits.units:
            raise Refusal("policy_relation_and_unit", "The policy does not accept this relation or unit.")
        if self.card.canaries.share > self.policy.attacks.max_canary_share:
            raise Refusal("policy_canary_share", "The share of canaries is above the policy's limit.")
        self._attacks()

    def _attacks(self) -> None:
        """What the public evidence shows of the attacks agrees with a policy under which they passed."""
        rows = _objects(self.evidence.get("attacks"))
        text = self.card.text
        if text is not None and self.policy.text is None:
            raise Refusal("attack_missing", NO_LIMITS)
        beside = [name for name in self.card.columns if text is None or name != text.column]
        wanted = attacks_asked(self.policy, columns=bool(beside), text=text is not None)
        ran = {str(row.get("name")).partition(":")[0] for row in rows}
        asked = {str(row.get("limit_id")) for row in rows}
        excused = wanted.excused
        lacking = [name for name in wanted.required if name not in ran.union(excused.values(), [IDENTIFIERS])]
        lacking += [limit for limit in wanted.limits if limit not in asked.union(excused, [IDENTIFIERS_LIMIT])]
        if lacking:
            raise Refusal("attack_missing", f"The required attack {lacking[0]} is not in the evidence.")
        for row in rows:
            limit, applied = wanted.limits.get(str(row.get("limit_id"))), row.get("limit")
            if row.get("verdict") != "pass" or limit is None or not _at_most(applied, limit):
                raise Refusal("attack_not_passed", "An attack in the evidence did not pass under this policy.")
        bound = self.evidence.get("epsilon_lower_bound")
        if not isinstance(bound, Mapping) or not _at_most(bound.get("value"), self.facts.guarantee.epsilon):
            raise Refusal("empirical_epsilon", "The canaries contradict the claimed epsilon, or are missing.")

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
        """The card's section is the ledger's, as of an entry from the decision on, after which no grant changed."""
        stated, claims = self.card.budget, self._claims
        if stated is None:
            if not is_plain(budget_section(self.slice, claims.budget_id)):
                raise Refusal("budget_not_shown", "The card does not show the family, filter or amendments of the "
                              "budget that paid.")  # fmt: skip
            return
        as_of = stated.get("as_of")
        decided = [e.seq for e in self.slice.of(Kind.DECISION) if e.body.get("document") == claims.decision_digest]
        if not isinstance(as_of, int) or not decided or not decided[-1] <= as_of < self.release.seq:
            raise Refusal("budget_mismatch", "The card's budget is not as of an entry between decision and release.")
        if any(as_of < entry.seq < self.release.seq for entry in self.slice.of(Kind.BUDGET_AMEND)):
            raise Refusal("budget_mismatch", "A grant was amended between the card and the release.")
        if stated != budget_as_of(self._raw, self.slice, claims.budget_id, as_of):
            raise Refusal("budget_mismatch", "The card shows another budget than the ledger: line, filter, grants, "
                          "amendments or amounts.")  # fmt: skip
        if digest(stated).encode() not in self._contents.small["report.html"]:
            raise Refusal("budget_mismatch", "report.html is not about this budget as it stood.")

    def _guarantee(self) -> None:
        if self._claims.generator.name in BASELINES:
            raise Refusal("no_guarantee", "A baseline made the rows, and protects nobody.")
        commit = next(entry for entry in self.slice.commits if entry.hash == self.facts.commit_hash)
        tree, recorded = committed(commit)
        for name, claimed in (("statement", self._claims.guarantee), ("card", self.card.guarantee)):
            if Guarantee.from_json(claimed) != recorded:
                raise Refusal("guarantee_mismatch", f"The {name} claims another guarantee than the ledger recorded.")
        if (tree.relation, tree.unit) != (recorded.relation, recorded.unit) or (
            self.facts.relation,
            self.facts.unit,
        ) != (recorded.relation.value, recorded.unit.to_json()):
            raise Refusal("relation_or_unit", "Events, guarantee and budget differ in relation or unit.")
        found = report(tree, recorded.delta)
        computed = found.guarantee
        if abs(computed.epsilon - recorded.epsilon) > TOLERANCE * max(computed.epsilon, recorded.epsilon):
            raise Refusal("guarantee_wrong", f"The committed events cost epsilon {computed.epsilon}, not "
                          f"{recorded.epsilon} as claimed.")  # fmt: skip
        check_charge(self.slice, commit)
        for entry in self.slice.commits:
            if entry.hash in {figure.commit for figure in self.facts.figures}:
                self._figure(entry)
        stated, ceiling = self.card.privacy, None
        if stated is not None:
            if (flattered := flattery(stated, privacy_section(found))) is not None:
                raise Refusal("privacy_wrong", f"The card's {flattered} claims more than the committed events give.")
            ceiling = ceiling_of(stated)
        if self.card.guarantee_in_words != recorded.sentence(ceiling):
            raise Refusal("guarantee_mismatch", "The card's sentence is not that of its guarantee.")
        self.guarantee = recorded

    def _figure(self, commit: Entry) -> None:
        """A figure's price follows from the event that made it, in the unit and relation of the rows."""
        ours = self._claims.draft_digest
        if any(one.commit == commit.hash and one.draft_digest != ours for one in self.facts.figures):
            raise Refusal("other_draft", "A figure in the ledger is about other rows under this draft's name.")
        tree, recorded = committed(commit)
        own = report(tree, recorded.delta).guarantee
        if (tree.relation, tree.unit) != (self.facts.guarantee.relation, self.facts.guarantee.unit):
            raise Refusal("relation_or_unit", "A figure was paid for in another relation or unit than the rows.")
        if abs(own.epsilon - recorded.epsilon) > TOLERANCE * max(own.epsilon, recorded.epsilon):
            raise Refusal("guarantee_wrong", f"A figure cost epsilon {own.epsilon}, not {recorded.epsilon} as charged.")
        check_charge(self.slice, commit)

    def _not_recalled(self) -> None:
        if any(entry.body.get("release") == self._claims.release for entry in self.slice.of(Kind.RECALL)):
            raise Refusal("recalled", "The publisher called this release back.", "Do not use these rows.")


def _versioned(raw: bytes, name: str, schema: str) -> dict[str, JSON]:
    body = parse_json(raw, name=name)
    if body.get("schema") != schema:
        raise Refusal("unknown_schema_version", f"{name} is of a version that this verifier does not know.",
                      "Use the version of dpsynth that wrote it, or a newer one.")  # fmt: skip
    return body


def _objects(value: JSON) -> list[Mapping[str, JSON]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _at_most(value: JSON, limit: Decimal) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and Decimal(repr(value)) <= limit


def _word(value: object) -> str:
    return value if value in {"ship", "regenerate", "reject"} or value in RULES else "unknown"  # type: ignore[return-value]


def _failed(name: str, refusal: Refusal) -> Check:
    return Check(name=name, ok=False, code=refusal.code, reason=str(refusal))


def _report(checks: list[Check], *, warnings: tuple[str, ...]) -> VerificationReport:
    """The answer after a failure; what was not reached is not ok."""
    reached = {check.name for check in checks}
    names = ["key", *(name for name, _, _ in Verifier.steps(Verifier.__new__(Verifier)))]
    why = "Not reached: an earlier check failed."
    skipped = [Check(name=name, ok=False, code="not_reached", reason=why) for name in names if name not in reached]
    return VerificationReport(ok=False, checks=(*checks, *skipped), guarantee=None, warnings=warnings)
