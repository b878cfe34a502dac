"""Croissant 1.1 JSON-LD of a verified bundle, with the terms of Croissant RAI 1.0.

Field types come from the Parquet schema, digests from the signed statement, every other value from the signed card.
`rai:hasSyntheticData` is what conferences ask for; the published vocabulary of RAI 1.0 does not list it yet.

Files are named relative to the bundle. `<`, `>` and `&` are written as escapes, so the text can stand in a web page.

Croissant: https://mlcommons.org/croissant/1.1, RAI: https://mlcommons.org/croissant/RAI/1.0

Not guaranteed: a page for `url`; a release has no address, so its name stands there as a URN.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote

from dpsynth.release.cards import words
from dpsynth.release.cards.facts import DATA, CardFacts
from dpsynth.release.documents import JSON

CROISSANT: Final = "http://mlcommons.org/croissant/1.1"
RAI: Final = "http://mlcommons.org/croissant/RAI/1.0"
CONTEXT: Final[dict[str, JSON]] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
FORMATS: Final = {DATA: "application/x-parquet", "data.csv": "text/csv", "card.yaml": "application/yaml"}
_ESCAPES: Final = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def croissant(facts: CardFacts) -> bytes:
    """Deterministic bytes."""
    text = json.dumps(_dataset(facts), indent=2, ensure_ascii=False, allow_nan=False)
    return (text.translate(_ESCAPES) + "\n").encode()


def _dataset(facts: CardFacts) -> dict[str, JSON]:
    card = facts.card
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [CROISSANT, RAI],
        "name": words.title(card),
        "description": " ".join((words.WHAT, card.guarantee_in_words, words.CHECK)),
        "license": words.licence_url(card.licence),
        "url": f"urn:dpsynth:{quote(card.release)}",
        "identifier": card.release,
        "version": "1.0.0",
        "citeAs": f"{card.release}, {facts.root}",
        "creator": {"@type": "sc:Organization", "name": f"release key {facts.release_key}"},
        "dateCreated": card.date,
        "datePublished": facts.published,
        "keywords": ["synthetic data", "differential privacy"],
        "isLiveDataset": False,
        "additionalProperty": [
            {"@type": "sc:PropertyValue", "name": name, "value": value} for name, value in words.figures(facts).items()
        ],
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": name,
                "name": name,
                "contentUrl": name,
                "encodingFormat": form,
                "sha256": facts.digests[name],
            }
            for name, form in FORMATS.items()
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "rows",
                "name": "rows",
                "field": [_field(name, kind) for name, kind in facts.types.items()],
            }
        ],
        **_responsible(facts),
    }


def _field(name: str, kind: Any) -> dict[str, JSON]:
    return {
        "@type": "cr:Field",
        "@id": f"rows/{quote(name, safe='')}",
        "name": name,
        "dataType": data_type(kind),
        "source": {"fileObject": {"@id": DATA}, "extract": {"column": name}},
    }


def data_type(kind: Any) -> str:
    """Croissant's name for an Arrow type; what has none is text."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return data_type(kind.value_type)
    known = (
        (pa.types.is_boolean, "sc:Boolean"),
        (pa.types.is_integer, "sc:Integer"),
        (pa.types.is_floating, "sc:Float"),
        (pa.types.is_decimal, "sc:Float"),
        (pa.types.is_timestamp, "sc:DateTime"),
        (pa.types.is_date, "sc:Date"),
        (pa.types.is_time, "sc:Time"),
    )
    return next((word for is_kind, word in known if is_kind(kind)), "sc:Text")


def _responsible(facts: CardFacts) -> dict[str, JSON]:
    """The terms of RAI 1.0, and where the rows come from in terms of PROV."""
    card = facts.card
    made: dict[str, JSON] = {
        "rai:hasSyntheticData": True,
        "rai:dataCollection": words.COLLECTION,
        "rai:dataCollectionType": "Others",
        "rai:dataCollectionRawData": f"{words.RAW} {card.source_commitment}",
        "rai:dataBiases": [*words.BIASES],
        "rai:personalSensitiveInformation": [card.guarantee_in_words, *words.SENSITIVE],
        "rai:dataSocialImpact": words.IMPACT,
        "rai:dataLimitations": [*card.limits],
        "rai:dataUseCases": [*words.USES, *(" | ".join(filter(None, row)) for row in words.judged(card))],
        "rai:dataReleaseMaintenancePlan": words.MAINTENANCE,
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "name": card.generator.name,
            "version": card.generator.version,
        },
    }
    steps = [*card.constraints]
    steps += [] if card.text is None else [card.text.words()]
    made |= {"rai:dataManipulationProtocol": " ".join(steps)} if steps else {}
    sources = [f"urn:dpsynth:commitment:{card.source_commitment}"]
    sources += [] if card.lineage is None else [f"urn:sha256:{parent}" for parent in card.lineage.parents]
    return {**made, "prov:wasDerivedFrom": [{"@id": source} for source in sources]}
