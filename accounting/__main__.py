"""Entry point of `python -m accounting`."""

import sys

from accounting.cli import main

if __name__ == "__main__":
    sys.exit(main())
