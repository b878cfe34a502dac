"""Generators for these tests lie in a module that other processes can import by a path: `tests` is no package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
