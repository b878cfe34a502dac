"""Matrix products of blocks of a thousand rows are done sooner than their threads can be told to begin.

OpenBLAS lets idle threads spin: on four cores of which three were busy, Adult from start to CSV took 33 CPU seconds and
13 s with its threads, 10 and 9 with one (one run each). PyTorch has threads of its own, which this leaves alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[object]:
    """Inside, numpy's matrix products run on the calling thread."""
    held: AbstractContextManager[object] = ThreadpoolController().limit(limits=1, user_api="blas")
    return held
