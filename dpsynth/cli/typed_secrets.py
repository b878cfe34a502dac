"""Passwords in what a person typed: said once that others can read them there, and shown nowhere again.

A URL with a password works for its command. But the list of processes shows it to everybody on the machine while the
command runs, and the shell keeps it, so a warning says where it belongs. Whatever a command then prints, errors of the
argument parser too, has the URL without it.

>>> typed = Typed.of(["attack", "postgresql://ann:hunter2@h/d"])
>>> typed.without("No draft 'postgresql://ann:hunter2@h/d' here.")
"No draft 'postgresql://ann@h/d' here."

Not guaranteed: anything about the shell's history, or a run file that somebody typed it into (which is refused).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

_URL = re.compile(r"(?:postgres(?:ql)?|spark)://.+", re.DOTALL)
FEWEST = 4
"""Characters of a password that is also starred where it stands alone; shorter ones are in any text."""
WARNING = (
    "the password in the URL is used for this command only, but everybody on this machine can read it in the list of "
    "processes, and the shell remembers it. Put it into ~/.pgpass or PGPASSWORD, and leave it out of the URL."
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What one command line holds that nobody else should read.

    Attributes:
        shown: URL with a password -> as it may be shown; and each password itself -> stars.
    """

    shown: Mapping[str, str]

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Typed:
        """Look through the words of a command."""
        shown: dict[str, str] = {}
        for found in filter(None, map(_URL.search, arguments)):
            from dpsynth.data.engines.sources.credentials import passwords, without_secrets

            secrets = passwords(found[0])
            if secrets:
                shown[found[0]] = without_secrets(found[0])
                shown |= {secret: "***" for secret in secrets if len(secret) >= FEWEST}
        return cls(shown=MappingProxyType(shown))

    def __bool__(self) -> bool:
        return bool(self.shown)

    def without(self, text: str) -> str:
        """A text with none of it."""
        for secret in sorted(self.shown, key=len, reverse=True):
            text = text.replace(secret, self.shown[secret])
        return text
