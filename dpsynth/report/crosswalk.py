"""Which section of the report answers which text: a literal table, with what was read and when.

`basis` says what the wording was held against: the text itself or a verbatim copy of it, an official abstract or table
of contents, or a summary by others. Paragraphs that could not be read are not cited. No row says that a release
complies with anything: it says where a reader of that text finds what the text asks about.

>>> sorted({row.text for row in CROSSWALK})[:2]
['EDPB Opinion 28/2024', 'EU AI Act, Art. 10']

Not guaranteed: legal advice, completeness, or that a text did not change after the date.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHECKED: Final = "2026-11-23"
VERBATIM, ABSTRACT, SUMMARY = "wording read", "official abstract or contents read", "summary read; not the text itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """One demand of one text, the sections that answer it, and where it was read."""

    text: str
    asks: str
    sections: tuple[str, ...]
    url: str
    basis: str

    @property
    def address(self) -> str:
        """The URL as a page prints it: without its scheme, since a report refers to no network."""
        return self.url.removeprefix("https://")


_NIST, _GDPR, _WP29 = "NIST SP 800-226", "GDPR, recital 26", "WP29 Opinion 05/2014"
_EDPB, _ISO, _HIPAA = "EDPB Opinion 28/2024", "ISO/IEC 27559:2022", "HIPAA, 45 CFR 164.514(b)(1)"
_ART10, _ART50 = "EU AI Act, Art. 10", "EU AI Act, Art. 50"
_NIST_URL = "https://csrc.nist.gov/pubs/sp/800/226/ipd"
_NIST_NEWS = "https://nist.gov/news-events/news/2023/12/nist-offers-draft-guidance-evaluating-privacy-protection-technique-ai-era"
_ISO_URL = "https://asnzsnorm.com/product/as-nzs-iso-iec-275592024"
_ART10_URL = "https://whisperly.ai/article/article-10-data-and-data-governance"
_WP29_URL = "https://mgsi.lu/language/en/g-29/wp29-anonymisation-techniques"
_HIPAA_URL = "https://networkforphl.org/resources/resource-collection-de-identification-toolkit/hipaa-expert-determination-de-identification-method"

CROSSWALK: Final[tuple[Crossing, ...]] = (
    Crossing(text=_NIST, asks="Pyramid, top: the direct measures of the guarantee, epsilon among them",
             sections=("Guarantee", "Guarantee in full", "Privacy budget"), url=_NIST_NEWS, basis=ABSTRACT),
    Crossing(text=_NIST, asks="Pyramid, middle: what can undermine a guarantee, such as lack of security",
             sections=("Events", "Attacks in detail", "Twenty items"), url=_NIST_NEWS, basis=ABSTRACT),
    Crossing(text=_NIST, asks="Pyramid, base: underlying factors, such as how the data are collected and exposed",
             sections=("Provenance in full", "Twenty items"), url=_NIST_NEWS, basis=ABSTRACT),
    Crossing(text=_NIST, asks="Promises that are made, and not made",
             sections=("What this does not protect",), url=_NIST_URL, basis=ABSTRACT),
    Crossing(text=_GDPR, asks="All the means reasonably likely to be used, such as singling out, by the controller or "
             "another person; cost, time and technology available",
             sections=("Criteria", "Attacks in detail", "Guarantee"), url="https://overview.legal/laws/gdpr/rec-26",
             basis=VERBATIM),
    Crossing(text=_WP29, asks="Singling out: isolating records that identify an individual",
             sections=("Criteria",), url=_WP29_URL, basis=VERBATIM),
    Crossing(text=_WP29, asks="Linkability: linking two records of one person or group",
             sections=("Criteria",), url=_WP29_URL, basis=VERBATIM),
    Crossing(text=_WP29, asks="Inference: deducing an attribute with significant probability",
             sections=("Criteria",), url=_WP29_URL, basis=VERBATIM),
    Crossing(text=_EDPB, asks="Likelihood of extracting personal data of those who trained the model, and of obtaining "
             "them by queries: both insignificant (executive summary; it is about models)",
             sections=("Criteria", "Attacks in detail", "Guarantee"),
             url="https://globalregulatoryinsights.com/art/opinion-28-2024-on-certain-data-protection-aspects-related-to-the-"
             "processing-of-personal-data-in-the-context-of-ai-models", basis=VERBATIM),
    Crossing(text=_ISO, asks="6 Context assessment: threat modelling, transparency and impact",
             sections=("Twenty items",), url=_ISO_URL, basis=ABSTRACT),
    Crossing(text=_ISO, asks="7 Data assessment: data features, attack modelling, maximum or average risk",
             sections=("Criteria", "Attacks in detail"), url=_ISO_URL, basis=ABSTRACT),
    Crossing(text=_ISO, asks="8 Identifiability assessment and mitigation: quantifying, adversarial testing, "
             "re-evaluation", sections=("Criteria", "Guarantee in full", "Twenty items"), url=_ISO_URL, basis=ABSTRACT),
    Crossing(text=_ISO, asks="9 De-identification governance: roles and responsibilities",
             sections=("State and reviews", "Rules of the gate", "Twenty items"), url=_ISO_URL, basis=ABSTRACT),
    Crossing(text=_HIPAA, asks="(i) Very small risk that an anticipated recipient identifies an individual, alone or "
             "with other reasonably available information; a person determines it, this report does not",
             sections=("Criteria", "Guarantee", "What this does not protect"), url=_HIPAA_URL, basis=VERBATIM),
    Crossing(text=_HIPAA, asks="(ii) Documents the methods and results of the analysis",
             sections=("Attacks in detail", "Events", "Methods", "Rules of the gate"), url=_HIPAA_URL, basis=VERBATIM),
    Crossing(text=_ART10, asks="(2)(b) Origin of data, and the original purpose of collection",
             sections=("Provenance in full", "Twenty items"), url=_ART10_URL, basis=VERBATIM),
    Crossing(text=_ART10, asks="(2)(f) to (h) Biases, measures against them, data gaps and shortcomings",
             sections=("Fitness", "Tails and resolution", "Twenty items"), url=_ART10_URL, basis=VERBATIM),
    Crossing(text=_ART10, asks="(5)(a) Whether other data, including synthetic data, would do for bias correction",
             sections=("Fitness", "Twenty items"), url=_ART10_URL, basis=VERBATIM),
    Crossing(text=_ART50, asks="(2) Synthetic audio, image, video or text content marked in a machine-readable format "
             "as artificially generated (tables are not named)",
             sections=("Twenty items", "Provenance in full"), url="https://aiact.annotated.nl/en/aiact/art/50",
             basis=VERBATIM),
)  # fmt: skip
