r"""What only a person can state about a release: trust model, legal basis, recipients, whom to write to.

A workspace keeps it in `statement.yaml`, which `dpsynth init` writes with every field commented out. All of it is
public: both editions print it. A field that nobody wrote is printed as "not stated", never guessed and never left out.
The text is read strictly (no unknown field, no alias, no tag, one line a field) and is escaped like any other text.

>>> Statement.from_yaml(b"version: 1\npurpose: Teaching\n").stated("purpose"), Statement().stated("recipients")
('Teaching', 'not stated')

Not guaranteed: that what is stated is true; nothing here is checked, and no rule of the gate reads it.
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dpsynth.core.errors import DataError
from dpsynth.release.documents import Refusal, parse_yaml
from dpsynth.report.views import clean

NOT_STATED: Final = "not stated"
_LABELS: Final = {
    "dpia_reference": "Data protection impact assessment",
    "dpo_advice": "Advice of the data protection officer",
    "raw_data_access": "Who saw raw data",
    "attacker": "Attackers expected",
    "reevaluation": "Tested again by",
    "responsible": "Responsible",
}
Sentence = Annotated[str, Field(min_length=1, max_length=600)]


class Statement(BaseModel):
    """The fields of `statement.yaml`; None is "not stated"."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[int, Field(ge=1, le=1)] = 1
    trust_model: Sentence | None = None
    raw_data_access: Sentence | None = None
    attacker: Sentence | None = None
    purpose: Sentence | None = None
    recipients: Sentence | None = None
    contract_limits: Sentence | None = None
    legal_basis: Sentence | None = None
    dpia_reference: Sentence | None = None
    dpo_advice: Sentence | None = None
    data_governance: Sentence | None = None
    reevaluation: Sentence | None = None
    responsible: Sentence | None = None
    recall_contact: Sentence | None = None

    def stated(self, name: str) -> str:
        """The text of a field, or "not stated"."""
        said = getattr(self, name)
        return NOT_STATED if said is None else str(said)

    @classmethod
    def from_yaml(cls, raw: bytes) -> Statement:
        """Read a `statement.yaml`.

        Raises:
            DataError: it is not such a file; names the field, never its text.
        """
        try:
            return cls.model_validate(parse_yaml(raw, name="statement.yaml", limit=2**16))
        except Refusal as refusal:
            raise DataError(str(refusal), "Write one sentence a field.") from None
        except ValidationError as error:
            first = error.errors(include_input=False, include_context=False)[0]
            place = ".".join(str(part) for part in first["loc"])[:80]
            raise DataError(
                f"statement.yaml: {place}: {first['type']}.",
                f"Known fields: {', '.join(cls.model_fields)}; one sentence each.",
            ) from None


def statement_text() -> str:
    """The commented file, as `dpsynth init` writes it."""
    return resources.files("dpsynth.report").joinpath("statement.yaml").read_text(encoding="utf-8")


def stated(statement: Statement) -> tuple[tuple[str, str], ...]:
    """Every field with its text, in the order of the file."""
    names = [name for name in Statement.model_fields if name != "version"]
    return tuple((label_of(name), clean(statement.stated(name))) for name in names)


def label_of(name: str) -> str:
    """What a field is called on a page."""
    return _LABELS.get(name, name.replace("_", " ").capitalize())
