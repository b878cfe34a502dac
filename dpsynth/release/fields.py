"""Kinds of field that several documents of a release share, and the model that they all are.

>>> Closed.model_config["extra"]
'forbid'
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Hex64 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[Decimal, Field(ge=0, le=1, allow_inf_nan=False)]


class Closed(BaseModel):
    """A document of this package: frozen, finite, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
