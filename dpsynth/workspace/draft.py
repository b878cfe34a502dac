"""A sealed draft: its status, its evidence, and the one way out.

Rows of a draft of private data have no `to_csv`: attacks and quality read them, and `release` writes them once the gate
says `ship`. Every report is recorded in the ledger by its keyed commitment before it can be judged, so that a report
cannot be exchanged and an attempt cannot be forgotten.

Not guaranteed: secrecy of the figures. Reports of a draft are computed from private rows and stay in the workspace;
the bundle carries the public view.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from accounting.guarantee import Guarantee
from accounting.ledger.entry import Kind
from dpsynth.core.errors import WorkspaceError
from dpsynth.core.progress import Progress, silent
from dpsynth.release.documents import canonical
from dpsynth.release.entries import record_report
from dpsynth.release.evidence import DraftDocument, Evidence, bind
from dpsynth.release.export import Documents, judge
from dpsynth.release.gate import Decision
from dpsynth.schema.model import Schema
from dpsynth.workspace.layout import read_json, write_json
from dpsynth.workspace.private.bounding import bounded
from dpsynth.workspace.private.room import open_source, sealed_source
from dpsynth.workspace.private.split import Split
from dpsynth.workspace.registry.datasets import DatasetRecord
from dpsynth.workspace.runs.synthesis import CANARY_COIN

if TYPE_CHECKING:
    import pandas as pd

    from accounting.ledger.records import BudgetRecord
    from accounting.relation import PrivacyUnit
    from attacks import AttackReport
    from dpsynth.data.table import Table
    from dpsynth.quality.comparators.score import Comparators
    from dpsynth.quality.report import QualityReport
    from dpsynth.quality.sequences import People
    from dpsynth.release.figures import AnyFigure
    from dpsynth.release.verification import VerificationReport
    from dpsynth.workspace.workspace import Workspace

SUITE = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The real rows that a paid draft is compared with, and the schema that they were read by."""

    schema: Schema
    parts: Split[Table]


class Draft:
    """One sealed draft. Get it from `Workspace.synthesize` or `Workspace.draft`.

    Attributes:
        workspace: where it lies.
        document: `draft.json`: what was made and where the ledger vouches for it.
    """

    def __init__(self, workspace: Workspace, document: DraftDocument) -> None:
        self.workspace = workspace
        self.document = document

    @classmethod
    def load(cls, workspace: Workspace, name: str) -> Draft:
        """Read a draft's document.

        Raises:
            WorkspaceError: if there is no such draft, or its document cannot be read.
        """
        path = workspace.layout.drafts / name / "draft.json"
        if not _is_plain(name) or not path.is_file():
            known = ", ".join(d.parent.name for d in sorted(workspace.layout.drafts.glob("*/draft.json"))) or "none yet"
            raise WorkspaceError(f"No draft '{name}' here.", f"Drafts: {known}.")
        found = Evidence.assemble(draft=read_json(path), attack=None, quality=None, ledger=None)
        if found.draft is None:
            raise WorkspaceError(f"The draft '{name}' cannot be read: {found.problems['draft']}.", "Synthesize again.")
        return cls(workspace, found.draft)

    # --- what may be seen ------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The draft's name."""
        return self.document.draft

    @property
    def folder(self) -> Path:
        """Where its documents lie."""
        return self.workspace.layout.drafts / self.name

    @property
    def unit(self) -> PrivacyUnit:
        """Whose rows the guarantee protects."""
        return self.dataset.unit

    @property
    def guarantee(self) -> Guarantee | None:
        """What was reserved for it, in relation and unit; None for a baseline's."""
        return self.document.claimed

    @property
    def budget(self) -> BudgetRecord:
        """The budget that paid for it, as the ledger knows it now."""
        with self.workspace.ledger() as ledger:
            return ledger.budget(self.document.budget_id)

    @property
    def ledger_entry(self) -> str:
        """The commit that paid for it, or the entry that says that nothing protected it, as "seq:hash"."""
        with self.workspace.ledger() as ledger:
            for entry in ledger.entries(self.document.budget_id):
                about = {Kind.COMMIT: "reservation_id", Kind.UNPROTECTED: "read_id"}.get(entry.kind, "")
                if entry.body.get(about) == self.document.reservation_id:
                    return f"{entry.seq}:{entry.hash}"
        raise WorkspaceError(f"The ledger has no commit for '{self.name}'.", "Restore the ledger; do not release this.")

    @property
    def condition(self) -> str | None:
        """What its rows were asked to be like, in words; None for a picture of the whole table."""
        from dpsynth.workspace.runs.resampling import condition

        asked = condition(self)
        return None if asked is None else asked.asked()

    @property
    def schema(self) -> Schema:
        """The schema that it was fitted under: the plain file beside it, held against the sealed document's digest.

        Raises:
            WorkspaceError: the file was changed; attacks and quality would read the data by other roles and types.
        """
        found = Schema.from_yaml(self.folder / "schema.yaml")
        if found.digest() != self.document.schema_digest:
            raise WorkspaceError(
                f"The schema.yaml of '{self.name}' is not the one that the draft was made with.",
                "Restore the file; for another schema synthesize anew.",
            )
        return found

    @property
    def status(self) -> str:
        """sealed, attacked, evaluated, then the gate's word, then released or withdrawn, then recalled."""
        with self.workspace.ledger() as ledger:
            found = ledger.desk().get(self.document.budget_id, self.name)
        if found is not None and found.releases:
            return "released" if set(found.releases) - set(found.recalled) else "recalled"
        if found is not None and found.withdrawn is not None:
            return "withdrawn"
        decision = self._document("decision")
        if decision is not None:
            return str(decision["decision"])
        done = [word for word, kind in (("attacked", "attack"), ("evaluated", "quality")) if self._document(kind)]
        return " and ".join(done) or "sealed"

    def __repr__(self) -> str:
        return f"Draft({self.name!r}, {self.document.rows:,} rows, {self.status}; rows are sealed)"

    def _repr_html_(self) -> str:
        from dpsynth.report import cell

        return cell({**self.document.to_json(), "state": self.status})

    @property
    def attempt(self) -> int:
        """The number that an attack run on this draft would be judged at; the policy limits it."""
        from dpsynth.release.entries import next_attempt, of_same_data

        with self.workspace.ledger() as ledger:
            tries = of_same_data(ledger.entries(), ledger.budgets(), self.document.budget_id)
            return next_attempt(tries, self.name)

    # --- evidence --------------------------------------------------------------------------------------------------

    def attack(self, suite: str = SUITE, *, seed: int | None = None, progress: Progress = silent) -> AttackReport:
        """Run the attack suite against the sealed rows, and record the report.

        Every run is recorded and counts as an attempt; the gate asks later attempts for more certainty, so that trying
        again until the attacks pass does not raise the chance that a leak slips through.

        Args:
            suite: a named suite.
            seed: of targets and controls; default the ledger's head, which nobody chose.
            progress: called as attacks finish.
        """
        from dpsynth.workspace.measuring import attacked

        with self.workspace.ledger(write=True) as ledger:
            chosen = seed if seed is not None else int(ledger.head().hash[:12], 16)
            report = attacked(self, suite, self.workspace.policy(), seed=chosen, progress=progress)
            self._record(ledger, "attack", report.to_json(), verdict=report.verdict)
        return report

    def evaluate(
        self,
        *,
        comparators: Comparators | None = None,
        progress: Progress = silent,
        **sections: Any,
    ) -> QualityReport:
        """Measure quality beside what real data scores, and record the report.

        Args:
            comparators: private models trained on the real rows, which are charged (`workspace.figures.comparators`).
            progress: called as steps finish.
            sections: `ablation`, `detection`, `groups`, `time_column`, `since` of `quality.evaluate`, for tables; for
                texts `model`, a public language model by path or name, which measures their perplexity.
        """
        from dpsynth.workspace.measuring import evaluated

        report = evaluated(self, comparators, progress, sections)
        with self.workspace.ledger(write=True) as ledger:
            self._record(ledger, "quality", report.to_json())
        return report

    def buy_figure(self, statistic: str = "copies", *, epsilon: Decimal | str | float) -> AnyFigure:
        """Noisy counts about this draft and the real rows that may be published, for epsilon of the draft's budget.

        Args:
            statistic: `copies`: of how many people, trained on or held out, the rows hold a copy. `marginals`: how near
                the fitted rows are to the released ones, by columns and pairs.
            epsilon: cost, in the budget's relation and unit; charged beside what the draft cost.

        Raises:
            BudgetRefused: the budget is short; nothing was read.
            SourceError: rows in an engine are others than those fitted; or the engine went away, and the same goes on.
        """
        from dpsynth.workspace.figures.figure import buy

        return buy(self, statistic, epsilon=epsilon)

    def gate(self) -> Decision:
        """Judge the recorded evidence by the policy in force; the ledger keeps the answer."""
        with self.workspace.ledger(write=True) as ledger:
            decision = judge(self.documents, ledger, self.workspace.vault, self.workspace.policy())
        write_json(self.folder / "decision.json", decision.to_json())
        return decision

    @property
    def documents(self) -> Documents:
        """What there is to judge."""
        return Documents(
            draft=self.document.to_json(), attack=self._document("attack"), quality=self._document("quality")
        )

    # --- the way out -----------------------------------------------------------------------------------------------

    def release(
        self,
        out: str | Path,
        *,
        licence: str = "not stated",
        publish_quality: Decimal | str | float | None = None,
        progress: Progress = silent,
    ) -> Release:
        """Write the signed bundle if the gate says `ship` to the evidence as it stands now.

        Args:
            out: a new folder, or a new .zip file.
            licence: under which the rows may be used, an SPDX expression such as CC-BY-4.0; the card states it.
            publish_quality: epsilon of noisy counts of quality in the public report, unless they were bought before.
            progress: called as steps finish.

        Raises:
            GateRefused: for any other decision; nothing is written.
            BudgetRefused: the budget is short of what quality costs; nothing was read.
        """
        from dpsynth.release.fields import checked_licence
        from dpsynth.workspace.figures.publishing import publish_quality as bought
        from dpsynth.workspace.releasing import release

        checked_licence(licence)
        if publish_quality is not None:
            bought(self, Path(out), publish_quality)
        return release(self, Path(out), licence=licence, progress=progress)

    def report(self, path: str | Path, *, public: bool = False) -> Path:
        """Write the report, a page or a PDF by the file's ending; see `dpsynth.workspace.reporting.report`."""
        from dpsynth.workspace.reporting import report

        return report(self, path, public=public)

    def rows(self) -> pa.Table:
        """The sealed rows, for attacks, quality and release; not for people."""
        return pq.read_table(io.BytesIO(self.workspace.vault.open(self.name)))

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def dataset(self) -> DatasetRecord:
        """The data that it was made from, cut by time as it was then: the registry may say otherwise by now."""
        return replace(self.workspace.registry.get(self.document.dataset), time=self.document.time)

    @cached_property
    def _source(self) -> Source:
        opened = (
            open_source(self.workspace, self.dataset, schema=self.schema)
            if self.dataset.place is None
            else sealed_source(self.workspace, self.dataset, self.document.run_id, self.schema)
        )
        with self.workspace.ledger() as ledger:
            parts = opened.rows.to_compare(ledger, self.document.budget_id, self.document.reservation_id)
        return Source(schema=opened.schema, parts=parts)

    def _fitted_rows(self) -> Table:
        """The rows that the generator saw: of each unit no more than its bound, by the reservation's own key."""
        key = self.workspace.secret(f"bound/{self.document.reservation_id}")
        return bounded(self._source.parts.train, self.unit, key, self._source.schema.order)

    def _people(self, table: Table, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Rows for the attacks, with the column that says whose they are: a person counts once."""
        unit = () if self.unit.column is None else (self.unit.column,)
        return table.select((*(self._source.schema.modelled if columns is None else columns), *unit)).to_pandas()

    @property
    def _sequences(self) -> People | None:
        """Whose synthetic rows are whose; None if the draft holds rows and not people."""
        from dpsynth.quality.sequences import People

        schema, unit = self._source.schema, self.unit.column
        if unit is None or schema.order is None or schema.order not in self.document.columns:
            return None
        kinds = {name: spec.kind for name, spec in schema.columns.items()}
        return People(unit=unit, order=schema.order, constant=schema.constant, declared=kinds)

    def _rows_frame(self, names: Sequence[str] = ()) -> pd.DataFrame:
        """The sealed rows; all columns that are modelled if none are named."""
        from dpsynth.data.table import Table

        return Table.from_arrow(self.rows()).select(tuple(names) or self._source.schema.modelled).to_pandas()

    def _canaries(self) -> Any:
        if not self.document.canaries.planted:
            return None
        import attacks
        from dpsynth.data.table import Table
        from dpsynth.workspace.runs.resampling import possible

        sealed = pq.read_table(io.BytesIO(self.workspace.vault.open(f"{self.name}-canaries")))
        rows = Table.from_arrow(sealed.drop_columns([CANARY_COIN]))
        kept = np.flatnonzero(possible(self, rows))
        coins = sealed.column(CANARY_COIN).to_numpy()[kept]
        promised = self.guarantee
        delta = {} if promised is None else {"delta": float(promised.delta)}  # else the attacks' own
        return attacks.Canaries(rows=rows.take(kept).to_pandas(), included=coins, **delta)

    def _planted_texts(self, column: str) -> tuple[tuple[str, ...], NDArray[np.bool_]]:
        """Canary texts and their coins."""
        sealed = pq.read_table(io.BytesIO(self.workspace.vault.open(f"{self.name}-canaries")))
        return tuple(sealed.column(column).to_pylist()), sealed.column(CANARY_COIN).to_numpy()

    def _record(self, ledger: Any, kind: Any, report: dict[str, Any], verdict: str = "") -> None:
        """Bind a report to this draft, store it, and enter its commitment into the ledger."""
        bound = bind(kind, self.document, report)
        write_json(self.folder / f"{kind}.json", bound)
        (self.folder / "decision.json").unlink(missing_ok=True)
        commitment = self.workspace.vault.commit(canonical(bound), purpose="document")
        record_report(ledger, kind, self.document, commitment, verdict)

    def _document(self, kind: str) -> dict[str, Any] | None:
        path = self.folder / f"{kind}.json"
        return read_json(path) if path.is_file() else None


def _is_plain(name: str) -> bool:
    """Whether a name is that of a file in its folder: no path, and no longer than files are called."""
    return len(name.encode("utf-8", "replace")) <= 255 and not set(name) & set("/\\\0") and name not in ("", ".", "..")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A bundle that was written and verified.

    Attributes:
        bundle: the folder or .zip file.
        public_key: what receivers verify it with.
    """

    bundle: Path
    public_key: Path

    def to_pandas(self) -> pd.DataFrame:
        """The released rows."""
        import pandas as pd

        return pd.read_parquet(io.BytesIO(self._member("data.parquet")))

    def document(self, name: str) -> dict[str, Any]:
        """A JSON document of the bundle, such as `decision.json`."""
        document: dict[str, Any] = json.loads(self._member(name))
        return document

    def _member(self, name: str) -> bytes:
        if self.bundle.is_dir():
            return (self.bundle / name).read_bytes()
        import zipfile

        with zipfile.ZipFile(self.bundle) as archive:
            return archive.read(name)

    def _repr_html_(self) -> str:
        from dpsynth.release.card import read_card
        from dpsynth.report import cell

        card = read_card(self._member("card.yaml"))
        return cell(
            {
                "schema": "dpsynth.cell.release/1",
                "decision": self.document("decision.json"),
                "guarantee_in_words": card.guarantee_in_words,
                "Release": card.release,
                "Rows": card.rows,
                "Bundle": str(self.bundle),
                "Verify with": f"dpsynth verify {self.bundle} --key {self.public_key}",
            }
        )

    def verify(self) -> VerificationReport:
        """What a receiver would find."""
        from dpsynth.release.verify import verify

        return verify(self.bundle, self.public_key)
