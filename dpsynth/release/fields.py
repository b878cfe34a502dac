"""Kinds of field that several documents of a release share, and the model that they all are.

>>> Closed.model_config["extra"]
'forbid'
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dpsynth.core.errors import ParameterError

Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Licence = Annotated[str, Field(pattern=r"^[A-Za-z0-9(][A-Za-z0-9.+:() -]{0,199}$")]
Share = Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False)]


class Closed(BaseModel):
    """A document of this package: frozen, finite, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def checked_licence(text: str) -> str:
    """A licence as a card may state it: "not stated", or the form of an SPDX expression; names are not looked up.

    Raises:
        ParameterError: anything else.
    """
    try:
        return TypeAdapter(Licence).validate_python(text)
    except ValidationError:
        raise ParameterError(
            "The licence is no SPDX expression.", "Give one such as CC-BY-4.0, MIT or LicenseRef-Ours."
        ) from None
