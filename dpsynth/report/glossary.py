"""Terms and methods, for pages and for print: one text, two looks.

>>> [term for term, _ in GLOSSARY][:2]
['Attack verdict', 'Canary']
"""

from __future__ import annotations

from typing import Final

ATTACK_METHODS: Final[tuple[tuple[str, str], ...]] = (
    (
        "Membership",
        "Distances calibrated by a reference sample, true positive rate at low false alarms: Carlini et al., "
        "Membership Inference Attacks From First Principles, 2022; isolated records as targets: Meeus et al., "
        "Achilles' Heels, 2023.",
    ),
    (
        "Attribute inference",
        "Members against holdout records, so that statistics about everybody do not count: Giomi et al., A "
        "Unified Framework for Quantifying Privacy Risk in Synthetic Data, 2023.",
    ),
    (
        "Canary audit",
        "Epsilon from one training run: Steinke, Nasr and Jagielski, 2023.",
    ),
    (
        "Attack intervals",
        "Proportions: Clopper and Pearson, 1934. Differences: Miettinen and Nurminen, 1985. AUC: DeLong et "
        "al., 1988. Bounds are one-sided at the level stated with each attack.",
    ),
)
METHODS: Final[tuple[tuple[str, str], ...]] = (
    (
        "Guarantee",
        "Events are composed by at least two independent accountants; the ledger names the one charged. Bound "
        "on an attacker: Kairouz, Oh and Viswanath, The Composition Theorem for Differential Privacy, 2015.",
    ),
    (
        "Noise",
        "Discrete Gaussian: Canonne, Kamath and Steinke, 2020. Bits from the operating system.",
    ),
    *ATTACK_METHODS,
    (
        "Quality intervals",
        "Infinitesimal jackknife (Efron, 1982) over rows; below 200 rows McDiarmid, 1989. Utility: paired "
        "bootstrap over test rows (Efron and Tibshirani, 1993).",
    ),
    (
        "Why exact figures stay inside",
        "Metrics computed from real rows can be inverted: Ganev and De Cristofaro, 2023.",
    ),
)
GLOSSARY: Final[tuple[tuple[str, str], ...]] = (
    (
        "Attack verdict",
        "Fail: the lower bound of the leak is above the limit. Pass: the upper bound is below it and the "
        "attack caught a planted leak. Anything else is inconclusive and blocks the release.",
    ),
    (
        "Canary",
        "A random row from the public domain, planted with a fair coin before training. Canaries are nobody's "
        "data, so figures about them may be published.",
    ),
    (
        "Controls",
        "The positive control plants real rows in the release: the attack must notice. The negative control "
        "is a release that never saw the members: the attack must stay silent.",
    ),
    (
        "Delta",
        "The small probability that the guarantee of epsilon does not hold.",
    ),
    (
        "Differential privacy",
        "A property of a procedure: its output is nearly as likely with any one unit's data as without, so "
        "little can be learned about that unit from it, whatever else is known.",
    ),
    (
        "Distance",
        "Total variation: the largest error in the share of any set of values. 0 identical, 1 disjoint.",
    ),
    (
        "Epsilon",
        "How much more likely an output may become through one unit's data: a factor of at most e to the "
        "epsilon. Smaller is stronger. It has a meaning only together with unit, relation and delta.",
    ),
    (
        "Floor",
        "The distance between two random halves of the real data. Fewer rows make it larger.",
    ),
    (
        "Ledger",
        "The signed chain of all budget entries. A release without an entry cannot verify.",
    ),
    (
        "Real holdout",
        "Real rows of the same source that the generator never saw, measured like the synthetic ones.",
    ),
    (
        "Relation",
        "How two neighbouring tables differ: one unit added or removed, or replaced by another.",
    ),
    (
        "Sample of the real rows",
        "Of a table in an engine attacks and quality look at units drawn when the draft was made: at most about "
        "20,000 rows of each part, and 1,000 of one unit. Leaks and losses that this sample cannot show may be there.",
    ),
    (
        "Shortfall",
        "0: as good as the real holdout, at equal numbers of rows. 1: as bad as data without any dependence.",
    ),
    (
        "Source commitment",
        "Names the data without telling anything to whoever guesses. Of a file or a table in memory it is of the "
        "content, and other content has another; of a table in an engine it is of the place, and stays the same "
        "when rows change.",
    ),
    (
        "Unit of privacy",
        "Whose data is protected as one: one record, or all records of one user.",
    ),
)
