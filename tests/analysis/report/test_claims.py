"""Every claim of findings.txt and report.html, read back from the text and held against contrasts.csv."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import names
from analysis.mixed.design import AVERAGE
from analysis.report import alt_text
from analysis.report import page as report
from analysis.results import Analysis
from analysis.settings import AnalysisSettings
from tests.analysis import simulate

ALPHA = 0.05
LABELS = {names.label(m): m for m in ("fd", "ed", "sd", "mcl", "dr")}
OUTCOMES = {"Retrieval mAP@10": "retrieval", "Retrieval consistency": "consistency", "VQA accuracy": "vqa",
            "VQA stability": "stability"}  # fmt: skip
BASE = simulate.Plan(sizes=("half",), methods=("none", "fd", "sd", "mcl"), seeds=4, questions=60, vqa_languages=6,
                     languages=list(simulate.LANGUAGES[:6]))  # fmt: skip
EFFECTS = {"fd": (14.0, 9.0, 8.0, 0.1), "sd": (11.0, 9.0, 0.0, -0.25), "mcl": (0.5, 0.4, 0.2, 0.0)}
SCENARIOS: dict[str, tuple[simulate.Plan, AnalysisSettings]] = {
    "null": (replace(BASE, effects={}), AnalysisSettings()),
    "effects": (replace(BASE, effects=EFFECTS), AnalysisSettings()),
    "cost": (replace(BASE, effects={"sd": (0.0, 12.0, 0.0, -0.3)}), AnalysisSettings()),
    "both raised": (
        replace(BASE, effects={"fd": (5.0, 10.0, 10.0, 0.2), "mcl": (5.0, 10.0, 10.0, 0.2)}),
        AnalysisSettings(),
    ),
    "borderline": (replace(BASE, effects={m: (1.0, 1.2, 2.0, -0.03) for m in ("fd", "sd", "mcl")}), AnalysisSettings()),
    "few seeds": (replace(BASE, effects=EFFECTS, seeds=2), AnalysisSettings()),
    "one seed": (replace(BASE, effects=EFFECTS, seeds=1), AnalysisSettings()),
    "two sizes, one declared": (
        replace(BASE, archs=("clip",), sizes=("half", "quarter"), effects=EFFECTS),
        AnalysisSettings(contrasts=("fd",), family="study"),
    ),
}
SEEDS = {"null": (1, 2), "borderline": (1, 2, 3), "effects": (1, 2)}
NUMBER = r"[+\N{MINUS SIGN}]?\d+\.\d+"
METHODS = "|".join(LABELS)
SHOWN = rf"(?P<method>{METHODS})(?: \(in \d of \d combinations\))? (?P<value>{NUMBER} \[{NUMBER}, {NUMBER}\])"
CLAIM = r"raised|lowered|highest|paid|bought|\bcost\b|\bboth\b|\bahead\b|gain"


@dataclass(frozen=True)
class Reported:
    """A report as its reader has it: the lines of findings.txt, the page's text, its HTML and contrasts.csv."""

    lines: list[str]
    words: str
    page: str
    table: pd.DataFrame

    def row(self, outcome: str, label: str, place: tuple[str, str] = (AVERAGE, AVERAGE)) -> Any:
        t = self.table
        chosen = (t["outcome"] == outcome) & (t["language"] == AVERAGE) & (t["arch"] == place[0])
        found = t[chosen & (t["size"] == place[1]) & (t["contrast"] == f"{LABELS[label]} - none")]
        assert len(found) == 1
        return found.iloc[0]

    def sides(self, label: str, place: tuple[str, str] = (AVERAGE, AVERAGE)) -> tuple[int, int]:
        """Sign of the difference in consistency and in stability; 0 where the adjusted p is not below the level."""
        return self.side("consistency", label, place), self.side("stability", label, place)

    def side(self, outcome: str, label: str, place: tuple[str, str] = (AVERAGE, AVERAGE)) -> int:
        row = self.row(outcome, label, place)
        return int(np.sign(row["estimate"])) if row["p_adjusted"] < ALPHA else 0


@pytest.fixture(scope="module", params=[(name, seed) for name in SCENARIOS for seed in SEEDS.get(name, (1,))], ids=str)
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    name, seed = request.param
    plan, settings = SCENARIOS[name]
    folder = tmp_path_factory.mktemp("claims")

    def undrawn(analysis: Analysis, settings: AnalysisSettings, _: Path) -> dict[str, str]:
        return dict.fromkeys([*alt_text.texts(analysis, settings), "overview-narrow"], "<svg></svg>")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", undrawn)
        lines = report.build(simulate.write(folder / "results", replace(plan, seed=seed)), folder / "report", settings)
    page = (folder / "report" / "report.html").read_text(encoding="utf-8")
    spoken = re.sub(r'aria-label="([^"]*)"', r">\1. <a ", re.sub(r"<(style|title).*?</\1>", "", page, flags=re.DOTALL))
    words = html.unescape(re.sub(r"<[^>]*>", " ", spoken)).replace("\N{NO-BREAK SPACE}", " ")
    return Reported(lines, " ".join(words.split()), page, pd.read_csv(folder / "report" / "tables" / "contrasts.csv"))


def clauses(reported: Reported) -> Iterator[tuple[str, str]]:
    """Each outcome's claims, from the findings and from the texts of the page: outcome and clause."""
    for text in (*reported.lines, reported.words):
        for title, outcome in OUTCOMES.items():
            for body in re.findall(rf"{re.escape(title)} \(control [^)]*\): (.*?)\.(?=\s|$)", text):
                yield from ((outcome, clause) for clause in body.split("; "))


def listed(clause: str) -> list[str]:
    return re.findall(rf"\b({METHODS})\b", clause)


def test_intervals_and_adjusted_p_agree(reported: Reported) -> None:
    known = reported.table.dropna(subset=["ci_low", "p_adjusted"])
    excludes = (known["ci_low"] > 0) | (known["ci_high"] < 0)
    assert (excludes == (known["p_adjusted"] < ALPHA)).all()


def test_what_is_said_of_an_outcome_is_in_the_table(reported: Reported) -> None:
    seen = set()
    for outcome, clause in clauses(reported):
        for label in listed(clause):
            row, side = reported.row(outcome, label), reported.side(outcome, label)
            if clause.startswith("raised by"):
                assert side == 1, clause
            elif clause.startswith("lowered by"):
                assert side == -1, clause
            elif clause.startswith("within"):
                assert side == 0, clause
                assert row["p_equivalent"] < ALPHA, clause
            elif clause.startswith("not significantly different"):
                assert side == 0, clause
            else:
                assert clause.startswith("no interval"), clause
                assert np.isnan(row["p_adjusted"])
            if f"{label} " in clause and "points" in clause and clause.startswith(("raised", "lowered")):
                for small in re.findall(rf"({METHODS}) {NUMBER} \[[^\]]*\], less than", clause):
                    assert reported.row(outcome, small)["p_equivalent"] < ALPHA
            seen.add((outcome, label))
    methods = set(reported.table.loc[reported.table["outcome"] == "retrieval", "contrast"])
    assert len(seen) == len(methods) * len(OUTCOMES)


def test_one_quantity_has_one_interval(reported: Reported) -> None:
    found: dict[tuple[str, str], set[str]] = {}
    for outcome, clause in clauses(reported):
        for match in re.finditer(SHOWN, clause):
            found.setdefault((outcome, match["method"]), set()).add(match["value"])
    for match in re.finditer(
        rf"({METHODS}) \(consistency ({NUMBER} \[.*?\]), stability ({NUMBER} \[.*?\])\)", answer(reported)
    ):
        found.setdefault(("consistency", match[1]), set()).add(match[2])
        found.setdefault(("stability", match[1]), set()).add(match[3])
    for match in re.finditer(rf"({METHODS}) \(stability ({NUMBER} \[.*?\])\)", answer(reported)):
        found.setdefault(("stability", match[1]), set()).add(match[2])
    for outcome, label, value in table_differences(reported):
        found.setdefault((outcome, label), set()).add(value)
    for (outcome, label), values in found.items():
        row = reported.row(outcome, label)
        expected = written(row)
        assert values == {expected}, (outcome, label)


def written(row: Any) -> str:
    def text(value: float) -> str:
        rounded = f"{abs(value):.1f}"
        return rounded if float(rounded) == 0 else ("\N{MINUS SIGN}" if value < 0 else "") + rounded

    sign = "+" if row["estimate"] > 0 and float(f"{row['estimate']:.1f}") != 0 else ""
    return f"{sign}{text(row['estimate'])} [{text(row['ci_low'])}, {text(row['ci_high'])}]"


def table_differences(reported: Reported) -> Iterator[tuple[str, str, str]]:
    """Differences in the page's tables: outcome, method, difference with interval."""
    evidence = reported.page.split('id="evidence"')[1].split("</table>")[0]
    for title, body in re.findall(r'colspan="8">([^<]*?) <span.*?</tr>(.*?)</tbody>', evidence, flags=re.DOTALL):
        for label, value in re.findall(r'<th scope="row">(\w+)[^<]*</th><td>([^<†]*\])', body):
            yield OUTCOMES[html.unescape(title)], label, value
    section = reported.page.split('id="tradeoff"')[1].split("</section>")[0]
    pattern = r'<th scope="row">(\w+)</th><td>([^<]*\])</td><td>([^<]*\])</td>'
    for label, consistency, stability in re.findall(pattern, section.split("On average")[1].split("</table>")[0]):
        yield "consistency", label, consistency
        yield "stability", label, stability


def answer(reported: Reported) -> str:
    found = re.search(r'<p class="answer">(.*?)</p>', reported.page, flags=re.DOTALL)
    assert found is not None
    text = html.unescape(found[1]).replace("\N{NO-BREAK SPACE}", " ")
    assert text in reported.lines
    return text


def test_the_answer_follows_from_the_two_adjusted_p(reported: Reported) -> None:
    text, told = answer(reported), set()
    for clause in text.rstrip(".").split("; "):
        said = clause[0].lower() + clause[1:] if not clause.startswith(tuple(LABELS)) else clause
        labels = listed(clause)
        told |= set(labels)
        for label in labels:
            consistency, stability = reported.sides(label)
            if said.startswith("consistency cost stability with"):
                assert (consistency, stability) == (1, -1), clause
            elif said.endswith("raised both"):
                assert (consistency, stability) == (1, 1), clause
            elif said.endswith("lowered both"):
                assert (consistency, stability) == (-1, -1), clause
            elif "lowered consistency and raised stability" in said:
                assert (consistency, stability) == (-1, 1), clause
            elif "raised consistency with stability within" in said:
                assert (consistency, stability) == (1, 0), clause
                assert reported.row("stability", label)["p_equivalent"] < ALPHA
            elif "raised consistency at a cost that is open" in said:
                assert (consistency, stability) == (1, 0), clause
            elif "did not raise consistency significantly" in said:
                assert consistency < 1, clause
            else:
                assert "no interval" in said, clause
        if not labels:
            assert re.match(
                "no method is shown to pay|no method raised consistency significantly|this study cannot tell", said
            ), clause
            if "no method raised" in said:
                assert all(reported.side("consistency", label) < 1 for label in present(reported))
            if "no method is shown to pay" in said:
                assert all(reported.sides(label) != (1, -1) for label in present(reported))
    assert told in (set(), set(present(reported)))


def present(reported: Reported) -> list[str]:
    contrasts = set(reported.table["contrast"])
    return [label for label, method in LABELS.items() if f"{method} - none" in contrasts]


def test_what_is_said_of_places_follows_from_their_rows(reported: Reported) -> None:
    wanted = {"consistency raised at the cost of stability": (1, -1), "both raised": (1, 1), "both lowered": (-1, -1),
              "consistency lowered, stability raised": (-1, 1)}  # fmt: skip
    texts = re.findall(r"By architecture and size \(exploratory; [^)]*\): (.*?)\.(?=\s|$)", "\n".join(reported.lines))
    texts += re.findall(r"By architecture and size \(exploratory; [^)]*\): (.*?)\.(?=\s|$)", reported.words)
    told = set()
    for text in texts:
        for clause in [] if text.startswith("nowhere") else text.split("; "):
            said, arch, size, who = re.fullmatch(r"(.*?) in (\w+) (\w+) by (.*)", clause).groups()  # type: ignore[union-attr]
            for label in listed(who):
                assert reported.sides(label, (arch, size)) == wanted[said], clause
                told.add((label, arch, size))
    places = set(zip(reported.table["arch"], reported.table["size"], strict=True))
    for arch, size in places:
        for label in present(reported) if AVERAGE not in (arch, size) and len(places) > 2 else []:
            assert (0 not in reported.sides(label, (arch, size))) == ((label, arch, size) in told)


def test_readings_and_stars_of_the_tables_follow_from_the_adjusted_p(reported: Reported) -> None:
    evidence = reported.page.split('id="evidence"')[1].split("</table>")[0]
    sides = {"raised": 1, "lowered": -1}
    count = 0
    for title, body in re.findall(r'colspan="8">([^<]*?) <span.*?</tr>(.*?)</tbody>', evidence, flags=re.DOTALL):
        for label, reading in re.findall(r'<th scope="row">(\w+)[^<]*</th>.*?<td class="text[^"]*">([^<]*)</td>', body):
            count += 1
            assert reported.side(OUTCOMES[html.unescape(title)], label) == sides.get(reading, 0), (title, label)
    assert count == 4 * len(present(reported))
    pattern = r"<summary>([^<]*?) by architecture and size†</summary>(.*?)</details>"
    for title, body in re.findall(pattern, reported.page, flags=re.DOTALL):
        for where, cells in re.findall(r'<tr><th scope="row">([^<]*)</th>(.*?)</tr>', body, flags=re.DOTALL):
            place = place_of(where, reported.table)
            stars = ["*" in cell for cell in re.findall(r"<td>(.*?)</td>", cells, flags=re.DOTALL)]
            outcome = OUTCOMES[html.unescape(title)]
            assert stars == [reported.side(outcome, label, place) != 0 for label in present(reported)]


def place_of(where: str, table: pd.DataFrame) -> tuple[str, str]:
    parts = where.split(", ")
    if len(parts) == 2:
        return parts[0], parts[1]
    return (parts[0], AVERAGE) if parts[0] in set(table["arch"]) else (AVERAGE, parts[0])


def test_measures_are_said_to_disagree_where_their_rows_do(reported: Reported) -> None:
    wanted = {"consistency raised at the cost of stability": (1, -1), "both raised": (1, 1), "both lowered": (-1, -1),
              "consistency lowered, stability raised": (-1, 1), "consistency raised, stability equivalent": (1, 0),
              "consistency raised, cost open": (1, 0)}  # fmt: skip
    lines = [line for line in reported.lines if line.startswith("Measures disagree. ")]
    assert all(line in reported.words for line in lines)
    for line in lines:
        for sentence in line.removeprefix("Measures disagree. ").rstrip(".").split(". "):
            label, told = sentence.split(": ", 1)
            verdicts = re.findall(r"“([^”]*)” under ([^“]*?)(?=, “|$)", told)
            assert len(verdicts) > 1
            for said, under in verdicts:
                for consistency, stability in re.findall(r"([\w ]+?) with ([\w ]+?)(?=,| and |$)", under):
                    rows = [measure_side(reported, "consistency", consistency.removeprefix(" and "), label),
                            measure_side(reported, "stability", stability, label)]  # fmt: skip
                    if said == "no significant gain in consistency":
                        assert rows[0] < 1, sentence
                    else:
                        assert tuple(rows) == wanted[said], sentence


def measure_side(reported: Reported, kind: str, shown: str, label: str) -> int:
    """Sign of the averaged difference on a measure; 0 where it is not significant."""
    t = reported.table
    named = t["measure"].str.replace("_", " ") == shown.strip()
    chosen = t[named & t["outcome"].str.startswith(kind) & (t["language"] == AVERAGE) & (t["arch"] == AVERAGE)]
    found = chosen[(chosen["size"] == AVERAGE) & (chosen["contrast"] == f"{LABELS[label]} - none")]
    assert len(found) == 1, (shown, label)
    return int(np.sign(found.iloc[0]["estimate"])) if found.iloc[0]["p_adjusted"] < ALPHA else 0


def test_no_claim_escapes_these_tests(reported: Reported) -> None:
    """Whatever names a method beside a word of claim is of a form that is parsed above."""
    parsed = (
        r"^(raised by|lowered by|both raised in|both lowered in|consistency raised at the cost|consistency lowered)"
    )
    for line in reported.lines:
        for clause in [] if line.startswith("Measures disagree. ") else re.split(r"; |: ", line):
            if not re.search(rf"\b({METHODS})\b", clause) or not re.search(CLAIM, clause):
                continue
            assert re.search(parsed, clause) or line == answer(reported), clause


def test_the_scenarios_have_their_effects(reported: Reported, request: pytest.FixtureRequest) -> None:
    name = request.node.callspec.params["reported"][0]
    if name == "cost":
        assert "consistency cost stability with SD" in answer(reported).lower().replace("sd", "SD")
    if name == "both raised":
        assert answer(reported).startswith("No method is shown to pay")
    if name == "one seed":
        assert answer(reported).startswith("This study cannot tell")
