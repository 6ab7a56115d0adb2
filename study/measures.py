"""Every measure, declared once: what it means, its range, how it is worked out, where it comes from.

Beside the schema of the tables (`study.records`), this is what the study and its analysis agree on. A measure that is
declared here is in the tables, the report and MLflow; the file of `study/eval` that computes it is the other half.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Measure:
    """A value of `metric`, `construct` or `indicator`: its range, and whether more of it is better.

    `detail` says how it is worked out, `source` where it comes from; the report prints both. of_pairs: it compares two
    languages' answers, and a language's row is its mean over partners. over_seeds: it compares runs that differ in
    their seed, so no run has one of its own.
    """

    name: str
    meaning: str
    higher_is_better: bool
    low: float = 0.0
    high: float = 1.0
    detail: str = ""
    source: str = ""
    of_pairs: bool = False
    over_seeds: bool = False

    @property
    def label(self) -> str:
        """Its name in running text."""
        return self.name.replace("map@", "mAP@").replace("_", " ")


_RANKED = "gold item included; rises with accuracy alone"
_TREC = "Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, ch. 8"
_FLIPS = "Yan et al. 2021, CVPR, Positive-Congruent Training"
_TEACHER = "mean over languages of the share of questions; flips against the teacher of the architecture"

RETRIEVAL_METRICS = (
    Measure("recall@1", "a relevant item is first", True, detail="share of queries", source=_TREC),
    Measure("recall@5", "a relevant item is among the first five", True, detail="share of queries", source=_TREC),
    Measure("recall@10", "a relevant item is among the first ten", True, detail="share of queries", source=_TREC),
    Measure(
        "map@10",
        "mean average precision over the first ten",
        True,
        detail="every caption of an image is relevant to it",
        source=_TREC,
    ),
    Measure(
        "mrr@10",
        "mean reciprocal rank within the first ten",
        True,
        detail="0 where nothing relevant is among the ten",
        source="Voorhees 1999, TREC-8 question answering track",
    ),
    Measure(
        "ndcg@10",
        "normalised discounted cumulative gain over the first ten",
        True,
        detail="binary relevance",
        source="Järvelin and Kekäläinen 2002, ACM TOIS 20:422",
    ),
)

CONSISTENCY_CONSTRUCTS = (
    Measure(
        "rbo_excess",
        "rank-biased overlap of parallel captions above that of captions that are not",
        True,
        -1.0,
        detail="rbo_gold_deleted minus the same of captions that belong to different images",
        source="ours, after Webber et al. 2010",
    ),
    Measure(
        "rbo_gold_deleted",
        "rank-biased overlap of two languages' rankings without the gold item",
        True,
        detail="persistence 0.9, depth 100, truncated and normalised; the same image's caption in two languages ranks "
        "the gallery, the gold item is deleted from both rankings; mean over queries and partner languages",
        source="Webber, Moffat and Zobel 2010, ACM TOIS 28(4); the deletion is ours",
    ),
    Measure(
        "rankc",
        "RankC (Qi et al. 2023)",
        True,
        detail=f"over the first ten; {_RANKED}",
        source="Qi, Fernández and Bisazza 2023, arXiv 2310.10378",
    ),
    Measure(
        "mrc",
        "mean Spearman correlation of two languages' rankings",
        True,
        -1.0,
        detail=f"full rankings, {_RANKED}",
        source="Spearman 1904",
    ),
    Measure(
        "gold_rank_variance",
        "variance of the gold item's rank fraction over languages",
        False,
        detail="unbiased, of the rank as a fraction of the gallery; falls with accuracy alone",
        source="sample variance",
    ),
    Measure(
        "centred_cosine",
        "cosine of parallel captions after centring each language",
        True,
        -1.0,
        detail="embeddings of captions only, no image takes part",
        source="Mu and Viswanath 2018, ICLR",
    ),
    Measure(
        "linear_cka",
        "linear centred kernel alignment of two languages' embeddings",
        True,
        detail="embeddings of captions only; biased upwards where dimensions are many for the queries",
        source="Kornblith et al. 2019, ICML",
    ),
)

STABILITY_CONSTRUCTS = (
    Measure(
        "alpha",
        "Krippendorff's alpha of the chosen options over languages",
        True,
        -1.0,
        detail="nominal; languages as coders, questions as units",
        source="Krippendorff 2011; Hayes and Krippendorff 2007",
    ),
    Measure(
        "agreement",
        "share of questions on which two languages choose the same option",
        True,
        detail="option ids are the same in every language; mean over pairs of languages",
        source="raw agreement",
        of_pairs=True,
    ),
    Measure(
        "shared_right",
        "questions that two languages both know, above what their accuracies give",
        True,
        -1.0,
        detail="both right, less what guessing and two independent languages of these accuracies give",
        source="Frary 1988, Educ. Meas. Issues Pract. 7:33, for the guessing",
        of_pairs=True,
    ),
    Measure(
        "agreement_excess",
        "agreement above what accuracies and answer shares alone give",
        True,
        -1.0,
        detail="chance agreement within each right option, from accuracies and shares of answers",
        source="Cohen 1960, Educ. Psychol. Meas. 20:37",
        of_pairs=True,
    ),
    Measure(
        "both_right",
        "share of questions that two languages both answer right",
        True,
        detail="one part of agreement",
        source="share",
        of_pairs=True,
    ),
    Measure(
        "same_wrong",
        "share of questions on which two languages choose the same wrong option",
        False,
        detail="the other part of agreement",
        source="share",
        of_pairs=True,
    ),
    Measure("accuracy", "share of questions answered right", True, detail="mean over languages", source="share right"),
    Measure(
        "language_sd",
        "SD of accuracy over languages, binomial noise removed",
        False,
        detail="a(1 - a) / (n - 1) of each language is taken off, at least 0",
        source="method of moments",
    ),
    Measure(
        "worst_language_gap",
        "mean minus worst language, shrunken accuracies",
        False,
        detail="accuracies drawn to their mean as far as binomial noise explains them",
        source="Efron and Morris 1975, JASA 70:311",
    ),
    Measure(
        "churn",
        "share of questions on which two seeds choose differently",
        False,
        detail="mean over pairs of seeds; one value for each architecture, size and method",
        source="Milani Fard et al. 2016, NeurIPS, Launch and Iterate",
        over_seeds=True,
    ),
    Measure(
        "churn_excess",
        "churn above the difference in accuracy that forces it",
        False,
        detail="churn is at least the difference in accuracy; what is above that",
        source="ours",
        over_seeds=True,
    ),
    Measure("negative_flips", "teacher right, student wrong", False, detail=_TEACHER, source=_FLIPS),
    Measure("positive_flips", "teacher wrong, student right", True, detail=_TEACHER, source=_FLIPS),
    Measure("net_flips", "positive minus negative flips", True, -1.0, detail=_TEACHER, source=_FLIPS),
)

PAIR_MEASURES = tuple(measure.name for measure in STABILITY_CONSTRUCTS if measure.of_pairs)

COLLAPSE_INDICATORS = (
    Measure("effective_rank", "effective number of dimensions that the caption embeddings use", True, 1.0, np.inf),
    Measure("hubness", "skewness of how often an image is among a caption's ten nearest", False, -np.inf, np.inf),
    Measure("top_answer", "share of the option that is chosen most often", False),
)

KINDS: Mapping[str, tuple[Measure, ...]] = {
    "retrieval": RETRIEVAL_METRICS,
    "consistency": CONSISTENCY_CONSTRUCTS,
    "stability": STABILITY_CONSTRUCTS,
}
"""Table of results to the measures in it."""

ACCURACY = next(measure for measure in STABILITY_CONSTRUCTS if measure.name == "accuracy")
"""Also the headline of `vqa`, whose table holds single answers."""

HEADLINES: Mapping[str, tuple[str, ...]] = {
    "retrieval": ("map@10",),
    "consistency": ("rbo_excess", "rbo_gold_deleted"),
    "vqa": ("accuracy",),
    "stability": ("shared_right", "agreement"),
}
"""Each headline outcome's measures in order of preference: the first that the tables hold is the outcome.

How they were chosen: docs/constructs.md. The older ones stay for folders that lack the newer.
"""

HEADLINE_LABELS: Mapping[str, str] = {
    "consistency": "retrieval consistency",
    "vqa": "VQA accuracy",
    "stability": "VQA stability",
}
"""What a headline is called; one that is not here is called by its measure."""

FURTHER_PAIRS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("rbo_gold_deleted", ("agreement",)),
    ("centred_cosine", ("both_right", "agreement_excess", "agreement")),
)
"""Measures of consistency, and of stability in order of preference, under which the trade-off is looked at again."""

CHOSEN_BY = "map@10"
"""The metric of retrieval by which settings are chosen on the validation split."""

OUTCOMES = (
    *HEADLINES,
    *(f"{kind}:{measure.name}" for kind, measures in KINDS.items() for measure in measures),
)
"""What an analysis can be about: a headline, or `table:measure`."""


def headline(kind: str, present: Collection[str]) -> str:
    """The measure of a headline outcome: the first of its list that the tables have."""
    return next((name for name in HEADLINES[kind] if name in present), HEADLINES[kind][-1])
