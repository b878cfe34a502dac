"""A receiver needs neither a database nor numpy, and the ledger no accountant until it prices."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from accounting import Ledger, Signer

_RECEIVER = """
import json, sys
ALLOWED = {"accounting", "cryptography", "rfc8785", "_cffi_backend"}

class OnlyThese:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ALLOWED and not top.startswith("__"):
            raise ImportError(f"{name} is not allowed here")
        if top in ("sqlite3", "_sqlite3", "socket"):
            raise ImportError(f"{name} is not allowed here")

sys.meta_path.insert(0, OnlyThese())
from accounting.ledger import verify_slice
document = json.load(open(sys.argv[1]))
facts = verify_slice(document, ledger_key=bytes.fromhex(sys.argv[2]))
print(facts.head)
"""


def test_a_receiver_needs_cryptography_and_rfc8785_only(
    ledger: Ledger, signer: Signer, grant: Any, reserve: Any, tmp_path: Path
) -> None:
    budget = grant(ledger)
    reserve(ledger, budget)
    file = tmp_path / "slice.json"
    file.write_text(json.dumps(ledger.slice(budget)))
    ran = subprocess.run(
        [sys.executable, "-c", _RECEIVER, str(file), signer.public_bytes.hex()],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert ran.stdout.strip() == str(ledger.head()), ran.stderr


def test_reading_a_ledger_loads_no_accountant(ledger: Ledger, path: Path, grant: Any) -> None:
    budget = grant(ledger)
    code = (
        "import sys; from accounting import Ledger; "
        f"Ledger.open({str(path)!r}).balance({budget!r}); "
        "print([m for m in ('numpy', 'scipy', 'dp_accounting', 'pandas', 'torch') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert ran.stdout.strip() == "[]", ran.stderr
