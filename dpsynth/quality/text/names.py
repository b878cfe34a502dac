"""Names of the text metrics that the gate and the public view know; nothing heavy is imported for them.

Metrics of tails exist only if some real n-gram falls into their band: which do is a function of private texts, so the
public view lists them all, as it does those of `LABELS`, which need two values among held-out rows. `HEADLINES` are
what a policy limits, the worst of them: words in their order, lost topics, repetition; `docs/concepts/text-quality.md`
shows which sabotage each notices.

>>> HEADLINES
('text_js2', 'text_coverage', 'text_self_bleu4')
"""

from __future__ import annotations

from typing import Final

BANDS: Final[tuple[tuple[int, int], ...]] = ((2, 9), (10, 99), (100, 999))
TAIL: Final = "text_tail_"
TAILS: Final = tuple(f"{TAIL}{kind}_{low}_{high}" for kind in ("words", "pairs") for low, high in BANDS)
HEADLINES: Final = ("text_js2", "text_coverage", "text_self_bleu4")
LABELS: Final = ("text_tstr_linear", "text_tstr_bayes", "text_label_shares", "text_labels_kept")
