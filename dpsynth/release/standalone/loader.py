#!/usr/bin/env python3
"""verify_bundle.py: check a dpsynth bundle with nothing but Python >= 3.11 and `pip install cryptography`.

    python -I verify_bundle.py BUNDLE --key PUBLISHER.pub

!! Do not use the copy of this file that lies inside the bundle that you are about to check: whoever forged the bundle
!! forged its verifier too. Get it from the project (`dpsynth verify --write-verifier FILE` prints its SHA-256), or
!! compare:  sha256sum verify_bundle.py  with what the project publishes for the version named below.

Below this loader stand the sources of the verifier itself, unchanged, each line behind `#|`, each module behind
`#@ name`. Read them there, or unpack them with --unpack FOLDER. Exit codes: 0 verified, 5 not verified, 8 everything
that can be checked here holds but something named could not be checked without more than this file, 2 usage.
"""

import sys

# The folder of this file may be the stranger's bundle: nothing is imported from there, nor from where you stand.
sys.path[:] = [place for place in sys.path if place and place != __file__.rpartition("/")[0] and place != "."]

import importlib.machinery  # noqa: E402
import importlib.util  # noqa: E402
from pathlib import Path  # noqa: E402
from types import ModuleType  # noqa: E402
from typing import Any  # noqa: E402

STAND_INS = {
    "numpy": "dpsynth.release.standalone.arrays",
    "numpy.typing": "dpsynth.release.standalone.arrays",
    "scipy": "dpsynth.release.standalone.transforms",
    "scipy.fft": "dpsynth.release.standalone.transforms",
    "scipy.signal": "dpsynth.release.standalone.transforms",
    "scipy.special": "dpsynth.release.standalone.transforms",
    "pydantic": "dpsynth.release.standalone.models",
}
OURS = {"accounting", "attacks", "dp_accounting", "dpsynth", "numpy", "pydantic", "rfc8785", "scipy", "yaml"}


def sections(text: str) -> dict[str, str]:
    """Sources by file name, as they stand behind the loader."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("#|"):
            lines.append(line[2:])
        elif line.startswith("#@ "):
            lines = found.setdefault(line[3:].partition(" ")[0], [])
    return {name: "\n".join(source) + "\n" for name, source in found.items()}


class Sections(importlib.machinery.SourceFileLoader):
    """Imports from this file; of the packages that it carries nothing is taken from the machine."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:  # noqa: ARG002 - the protocol's
        """A module of ours, or a refusal."""
        if name.partition(".")[0] not in OURS:
            return None
        stem = name.replace(".", "/")
        for file, package in ((f"{stem}.py", False), (f"{stem}/__init__.py", True)):
            if file in self.sources:
                return importlib.util.spec_from_loader(name, self, origin=file, is_package=package)
        raise ModuleNotFoundError(f"{name} is not part of this file", name=name)

    def create_module(self, spec: Any) -> Any:  # noqa: ARG002 - the protocol's
        """The usual one."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Run its source."""
        spec = module.__spec__
        file = "" if spec is None or spec.origin is None else spec.origin
        module.__file__ = f"verify_bundle.py/{file}"
        exec(compile(self.sources[file], module.__file__, "exec", dont_inherit=True), module.__dict__)  # noqa: S102

    def is_package(self, fullname: str) -> bool:
        """Whether it has parts."""
        return f"{fullname.replace('.', '/')}/__init__.py" in self.sources


def start(text: str, arguments: list[str]) -> int:
    """Unpack, or verify."""
    sources = sections(text)
    if arguments[:1] == ["--unpack"] and len(arguments) == 2:
        for name, source in sources.items():
            place = Path(arguments[1]) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(source, encoding="utf-8")
        return 0
    sys.meta_path.insert(0, Sections(sources))
    sys.modules.update({name: importlib.import_module(target) for name, target in STAND_INS.items()})
    from dpsynth.release.standalone.main import main

    return main(arguments)


if __name__ == "__main__":
    sys.exit(start(Path(__file__).read_text(encoding="utf-8"), sys.argv[1:]))
