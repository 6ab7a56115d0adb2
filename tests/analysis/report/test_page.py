"""The page as a document: self-contained, readable without eyes, in the dark and on paper, and ready to be cited."""

from __future__ import annotations

import html
import itertools
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from ruamel.yaml import YAML
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis import names
from analysis.data.load import Outcome, load
from analysis.figures import runs as descriptive
from analysis.figures import style
from analysis.report import page as report
from analysis.report import paper, studied
from analysis.settings import AnalysisSettings
from study.objectives.displays import DISPLAYS
from tests.analysis import simulate

ROOT = Path(__file__).parents[3]
PROVENANCE: dict[str, Any] = {
    "version": "1.2.3", "commit": "0123456789abcdef", "date": "2024-05-06", "dirty": True,
    "machine": "Linux x86_64, 8 cores",
    "corpus": {
        "corpus": "emoji", "description": "Scenes of emoji.", "source": "npm: openmoji", "in_domain": "new scenes",
        "out_of_domain": "another artist", "images": {"test": 500}, "questions": {"test": {"what": 80, "count": 40}},
        "licences": [{"covers": "artwork", "name": "CC-BY-4.0", "attribution": "© A & B; cropped"}],
    },
    "teachers": {"clip": {"model": "polyglot", "steps": 3200}},
    "tuned": {"fd": (4, 4), "sd": (0, 4)},
    "untuned": [("method", "sd"), ("cell", "clip-half-fd")],
}  # fmt: skip


@pytest.fixture(scope="module")
def out(medium: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page") / "report"
    report.build(medium, folder, AnalysisSettings(study="default"), PROVENANCE)
    return folder


@pytest.fixture(scope="module")
def page(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


def words(page: str) -> list[str]:
    plain = re.sub(r"<(style|svg|title).*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", plain)).split()


def test_the_first_screen_is_the_answer_a_figure_and_the_outcomes(page: str) -> None:
    head = page[page.index("<header>") : page.index("</header>")]
    order = ["<h1>", 'class="answer"', 'id="figure-overview"', 'class="outcomes"']
    assert [head.index(x) for x in order] == sorted(head.index(x) for x in order)
    assert head.count("<li><strong>") == 4
    assert (
        page.index("</header>") < page.index('id="declared"') < page.index('id="studied"') < page.index('id="tradeoff"')
    )


def test_nothing_can_run_and_nothing_is_fetched(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'")
    assert "script" not in policy[1]
    assert "unsafe" not in policy[1]
    assert not re.search(r'<script|<[^<>"]*\s(?:on[a-z]+|style)=|javascript:|<iframe|<link|@import', page)


def test_contents_links_and_figures_have_their_targets(out: Path, page: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([^"]+)"', page) + re.findall(r"url\(#([^)]+)\)", page):
        assert target in ids
    for name in re.findall(r'<figure id="figure-([\w-]+)"', page):
        figure = page[page.index(f'<figure id="figure-{name}"') :]
        assert f'href="figures/{name}.svg"' in figure[: figure.index("</figure>")]
    tables = {p.name for p in (out / "tables").glob("*.csv")}
    assert tables == set(re.findall(r'href="tables/([^"]+)"', page))


def test_every_table_says_what_was_not_declared(out: Path) -> None:
    for path in (out / "tables").glob("*.csv"):
        assert pd.read_csv(path)["exploratory"].dtype == bool, path.name
    declared = pd.read_csv(out / "tables" / "contrasts.csv").query("not exploratory")
    assert set(declared["arch"]) == set(declared["size"]) == set(declared["language"]) == {"average"}


def test_alternative_texts_say_what_is_found(page: str) -> None:
    texts = [html.unescape(x) for x in re.findall(r'role="img" aria-label="([^"]*)"', page)]
    assert len(texts) >= 10
    for text in texts:
        assert re.search(r"\d|significant", text), text
    assert texts[0].startswith("Retrieval mAP@10 (control ")
    assert all('aria-hidden="true"' in svg for svg in re.findall(r"<svg[^>]*>", page))


def test_dark_and_light_name_the_same_colours(page: str) -> None:
    light, dark = (re.findall(r"--c\w+(?=:)", style.theme(dark=d)) for d in (False, True))
    assert light == dark
    assert "@media screen and (prefers-color-scheme: dark)" in page
    drawn = "".join(re.findall(r"^\.i[0-9]+ \{.*\}$", page, flags=re.MULTILINE))
    assert {"--c222328", "--c85888f"} <= set(re.findall(r"var\((--c\w+)\)", drawn)) <= set(light)
    assert not re.search(rf"(?:fill|stroke): ({style.INK}|{style.PAPER})", drawn)


def test_folded_parts_are_printed(page: str) -> None:
    paper_style = page[page.index("@media print") :]
    assert re.search(r"details::details-content \{ content-visibility: visible", paper_style)


def test_a_method_has_one_spelling(page: str) -> None:
    shown = [w for w in words(re.sub(r"<code>.*?</code>|<pre.*?</pre>", "", page, flags=re.DOTALL))]
    assert not {"fd", "sd", "dr", "mcl", "ed", "none", "none,"} & set(shown)
    drawn = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert not {"fd", "sd", "dr", "none"} & set(drawn)
    assert {"FD", "SD", "DR", "control"} <= set(drawn)


def test_the_page_is_short(page: str) -> None:
    # 5,226 when most tables were printed, and that with fewer measures.
    assert len(words(page)) < 3000


def test_what_was_studied_is_spelled_out(page: str) -> None:
    text = " ".join(words(page))
    for part in ("Emoji. Scenes of emoji. Source: npm: openmoji", "Retrieval (500 images): new scenes",
                 "VQA (120 questions): another artist", "FD: feature distillation",
                 "SD: self-distillation across languages",
                 "clip: polyglot, 1.00 M parameters, trained for 3,200 steps", "CC-BY-4.0: artwork (© A & B)",
                 "version 1.2.3, commit 0123456789ab, with uncommitted changes, 2024-05-06",
                 "analysed on Linux x86_64, 8 cores", "Spanish"):  # fmt: skip
        assert part in text, part
    assert "Not tuned, where others were: method SD and cell clip-half-fd." in text


@pytest.mark.parametrize("provenance", [{}, {"untuned": []}])
def test_nothing_is_said_of_tuning_that_was_the_same(provenance: dict[str, Any]) -> None:
    assert studied.untuned_sentence(provenance) == ""


def test_facts_that_nobody_knows_are_left_out(medium: Path) -> None:
    found = studied.facts(load(medium, AnalysisSettings()), AnalysisSettings(), {})
    assert [f.term for f in found] == ["Languages", "Teachers", "Students", "Methods", "Machine"]


def test_how_published_checkpoints_were_read_is_told(medium: Path) -> None:
    study = load(medium, AnalysisSettings())
    read = {"compared": "open_clip 3.3.0: ids of 15 texts are the same", "assumed": ["texts are padded on the left"]}
    known = {"checkpoint": "org/model", "revision": "0" * 40, **read}
    provenance = {
        "teachers": {"clip": known},
        "encoders": {study.sizes[0]: {"checkpoint": "data/mini", "assumed": ["a", "b"]}},
    }
    told = next(f.texts for f in studied.facts(study, AnalysisSettings(), provenance) if f.term == "Checkpoints")
    assert told == (
        f"clip: org/model at revision {'0' * 40}; compared with open_clip 3.3.0: ids of 15 texts are the same; "
        "assumed, since its files do not say: texts are padded on the left",
        f"{study.sizes[0]}: data/mini; assumed, since its files do not say: a; b",
    )


def test_it_can_be_cited(page: str) -> None:
    text = " ".join(words(page)).replace("\N{NO-BREAK SPACE}", " ")
    assert "Small Polyglots contributors (2024). What does retrieval consistency cost in VQA stability?" in text
    entry = html.unescape(re.search(r'<pre class="copy"[^>]*>(.*?)</pre>', page, flags=re.DOTALL)[1])  # type: ignore[index]
    fields = dict(re.findall(r"^  (\w+) += \{(.*)\},?$", entry, flags=re.MULTILINE))
    assert fields["author"] == "{Small Polyglots contributors}"
    assert (fields["year"], fields["version"]) == ("2024", "1.2.3")
    assert entry.count("{") == entry.count("}")


def test_a_name_with_special_characters_is_safe_in_bibtex() -> None:
    entry = paper.Citation("50 % of {a}_b & \\c", "2024", "1", "ff").bibtex()
    assert r"50 \% of \{a\}\_b \& c" in entry
    assert entry.startswith("@misc{smallpolyglots202450ofabc,")


def test_the_citation_file_names_the_version() -> None:
    found = YAML(typ="safe").load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert found["version"] == project["version"]
    assert found["license"] == project["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert found["authors"] == [{"name": paper.AUTHOR}]


def test_names_in_any_script_are_drawn_without_boxes(tmp_path: Path) -> None:
    methods = (
        "none",
        "\N{CJK UNIFIED IDEOGRAPH-84B8}\N{CJK UNIFIED IDEOGRAPH-998F}",
        "a$b$",
        "\N{DEVANAGARI LETTER KA}",
    )
    plan = simulate.Plan(archs=("clip",), sizes=("half",), methods=methods, seeds=2, languages=["en", "de", "hi", "sw"],
                         vqa_languages=4, questions=40)  # fmt: skip
    # A glyph that no font has is a warning of matplotlib's, and so an error here.
    report.build(simulate.write(tmp_path / "results", plan), tmp_path / "report", AnalysisSettings())
    for name in ("overview", "scores", "languages"):
        svg = (tmp_path / "report" / "figures" / f"{name}.svg").read_text(encoding="utf-8")
        assert all(method in svg for method in methods[1:])
        assert "\\u84b8" not in svg
    assert style.drawable("plain, \N{GREEK SMALL LETTER ALPHA}") == "plain, \N{GREEK SMALL LETTER ALPHA}"
    assert style.drawable("\ue123x") == "\\ue123x"


MACHADO = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    "normal sight": np.eye(3).tolist(),
}
"""Linear RGB as each kind of colour blindness sees it (Machado, Oliveira and Fernandes 2009, IEEE TVCG 15:1291)."""


@pytest.mark.parametrize("kind", MACHADO)
@pytest.mark.parametrize("dark", [False, True])
def test_methods_are_told_apart_in_every_colour_vision(kind: str, dark: bool) -> None:
    colours = [style.DARK[m.colour] if dark else m.colour for m in DISPLAYS.values()]
    seen = [_lab(np.array(MACHADO[kind]) @ _linear(c)) for c in colours]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12
    markers = [m.marker for m in DISPLAYS.values()]
    assert len(set(markers)) == len(markers)
    assert not set(markers) & set(names.SPARE_MARKERS)


def _linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB under D65."""
    xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
    )
    x = xyz @ np.clip(linear, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_a_new_method_keeps_its_look_beside_others() -> None:
    alone = names.methods(["none", "rkd"])["rkd"]
    both = names.methods(["none", "fd", "rkd", "zkd"])
    assert both["rkd"] == alone
    assert both["zkd"].colour != alone.colour
    many = names.methods([f"m{i}" for i in range(9)])
    assert len({(m.colour, m.marker) for m in many.values()}) == 9


def test_the_control_is_called_so_only_where_it_is_one() -> None:
    assert names.methods(["none", "fd"])["none"].label == "control"
    assert names.methods(["none", "fd"], control="fd")["none"].label == "none"


def test_levels_of_languages_are_students_intervals() -> None:
    scores = [40.0, 41.0, 43.0]
    frame = pd.DataFrame({"cell": list("abc"), "arch": "x", "size": "half", "method": "fd", "seed": [0, 1, 2],
                          "language": "en", "score": scores})  # fmt: skip
    outcome = Outcome("retrieval", "", "", frame, pd.DataFrame(), True)
    row = descriptive.language_levels(outcome, 0.05).iloc[0]
    expected = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))
    one = descriptive.language_levels(Outcome("retrieval", "", "", frame.head(1), pd.DataFrame(), True), 0.05)
    assert one["low"].isna().all()


@pytest.mark.parametrize(("hits", "runs"), [(0, 5), (3, 5), (20, 20), (7, 12)])
def test_bands_of_shares_are_wilsons(hits: int, runs: int) -> None:
    low, high = descriptive.share_band(np.array(hits / runs), runs, 0.05)
    assert (float(low), float(high)) == pytest.approx(proportion_confint(hits, runs, method="wilson"))


def test_language_names_are_cldr_s() -> None:
    assert [names.language(x) for x in ("de", "no", "quz", "xx-unknown")] == [
        "German", "Norwegian", "Cusco Quechua", "xx-unknown",
    ]  # fmt: skip
