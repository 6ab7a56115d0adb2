"""How every measure of the tables is worked out, and where it comes from.

Meaning, range and direction stand beside the schema, in `study.records`; formulas in `study.eval`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from study import records

KINDS: Mapping[str, tuple[records.Measure, ...]] = {
    "retrieval": records.RETRIEVAL_METRICS,
    "consistency": records.CONSISTENCY_CONSTRUCTS,
    "stability": records.STABILITY_CONSTRUCTS,
}


@dataclass(frozen=True)
class Construct:
    """What a reader must know of a measure besides its meaning: how it is worked out, and its source."""

    detail: str
    source: str


_RANKED = "gold item included; rises with accuracy alone"
_TREC = "Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, ch. 8"
_FLIPS = "Yan et al. 2021, CVPR, Positive-Congruent Training"
_TEACHER = "mean over languages of the share of questions; flips against the teacher of the architecture"

CONSTRUCTS: Mapping[str, Construct] = {
    "recall@1": Construct("share of queries", _TREC),
    "recall@5": Construct("share of queries", _TREC),
    "recall@10": Construct("share of queries", _TREC),
    "map@10": Construct("every caption of an image is relevant to it", _TREC),
    "mrr@10": Construct("0 where nothing relevant is among the ten", "Voorhees 1999, TREC-8 question answering track"),
    "ndcg@10": Construct("binary relevance", "Järvelin and Kekäläinen 2002, ACM TOIS 20:422"),
    "rbo_excess": Construct(
        "rbo_gold_deleted minus the same of captions that belong to different images", "ours, after Webber et al. 2010"
    ),
    "rbo_gold_deleted": Construct(
        "persistence 0.9, depth 100, truncated and normalised; the same image's caption in two languages ranks the "
        "gallery, the gold item is deleted from both rankings; mean over queries and partner languages",
        "Webber, Moffat and Zobel 2010, ACM TOIS 28(4); the deletion is ours",
    ),
    "rankc": Construct(f"over the first ten; {_RANKED}", "Qi, Fernández and Bisazza 2023, arXiv 2310.10378"),
    "mrc": Construct(f"full rankings, {_RANKED}", "Spearman 1904"),
    "gold_rank_variance": Construct(
        "unbiased, of the rank as a fraction of the gallery; falls with accuracy alone", "sample variance"
    ),
    "centred_cosine": Construct("embeddings of captions only, no image takes part", "Mu and Viswanath 2018, ICLR"),
    "linear_cka": Construct(
        "embeddings of captions only; biased upwards where dimensions are many for the queries",
        "Kornblith et al. 2019, ICML",
    ),
    "alpha": Construct(
        "nominal; languages as coders, questions as units", "Krippendorff 2011; Hayes and Krippendorff 2007"
    ),
    "agreement": Construct("option ids are the same in every language; mean over pairs of languages", "raw agreement"),
    "shared_right": Construct(
        "both right, less what guessing and two independent languages of these accuracies give",
        "Frary 1988, Educ. Meas. Issues Pract. 7:33, for the guessing",
    ),
    "agreement_excess": Construct(
        "chance agreement within each right option, from accuracies and shares of answers",
        "Cohen 1960, Educ. Psychol. Meas. 20:37",
    ),
    "both_right": Construct("one part of agreement", "share"),
    "same_wrong": Construct("the other part of agreement", "share"),
    "accuracy": Construct("mean over languages", "share right"),
    "language_sd": Construct("a(1 - a) / (n - 1) of each language is taken off, at least 0", "method of moments"),
    "worst_language_gap": Construct(
        "accuracies drawn to their mean as far as binomial noise explains them", "Efron and Morris 1975, JASA 70:311"
    ),
    "churn": Construct(
        "mean over pairs of seeds; one value for each architecture, size and method",
        "Milani Fard et al. 2016, NeurIPS, Launch and Iterate",
    ),
    "churn_excess": Construct("churn is at least the difference in accuracy; what is above that", "ours"),
    "negative_flips": Construct(_TEACHER, _FLIPS),
    "positive_flips": Construct(_TEACHER, _FLIPS),
    "net_flips": Construct(_TEACHER, _FLIPS),
}
"""Name of a measure -> its construct, where the measure's own declaration does not say it."""


def construct(measure: records.Measure) -> Construct:
    """How a measure is worked out, and its source; a dash where nothing is said."""
    return CONSTRUCTS.get(measure.name, Construct(measure.detail or "-", measure.source or "-"))


def table() -> pd.DataFrame:
    """tables/measures.csv: definition, range, direction and source; its own scale, before points are made of it."""
    return pd.DataFrame([
        {"kind": kind, "measure": m.name, "meaning": m.meaning, "detail": construct(m).detail, "low": m.low,
         "high": m.high, "higher_is_better": m.higher_is_better, "source": construct(m).source}
        for kind, found in KINDS.items() for m in found
    ])  # fmt: skip
