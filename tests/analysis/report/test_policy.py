"""The page's content security policy, in a browser: foreign scripts and styles do nothing, its own styles apply."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from analysis.report import page as report
from analysis.report import policy
from analysis.settings import AnalysisSettings
from tests.analysis import simulate

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
PAGE = (
    '<!doctype html><html><head>\n<meta charset="utf-8">\n<style>p { color: red }</style></head><body>{}</body></html>'
)

HOSTILE = {
    "script": "<script>document.title = 'owned'</script>",
    "handler": "<img src=x onerror=\"document.title = 'owned'\">",
    "frame": "<iframe srcdoc=\"<script>parent.document.title = 'owned'</script>\"></iframe>",
    "vector": "<svg onload=\"document.title = 'owned'\"></svg>",
    "base": "</li></ul><base href='https://example.invalid/'><script>document.title = 'owned'</script>",
}
HIDING = "<style>main { display: none } p { color: blue }</style>"


def opened(page: Path) -> tuple[str, str]:
    """The title of a page after its load, and what the browser said of its policy."""
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom",
               f"--user-data-dir={page.parent / 'profile'}", "--enable-logging=stderr", page.as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    title = re.search(r"<title>(.*?)</title>", done.stdout, flags=re.DOTALL)
    assert title is not None, done.stdout[:500]
    return title[1], "\n".join(line for line in done.stderr.splitlines() if "Content Security Policy" in line)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report whose study and hypotheses are markup."""
    folder = tmp_path_factory.mktemp("hostile")
    plan = replace(simulate.smoke(), methods=("none", "fd", "<b onclick=x>"))
    settings = AnalysisSettings(study=HOSTILE["script"], hypotheses=(*HOSTILE.values(), HIDING, "</style>" + HIDING))
    provenance = {"corpus": {"corpus": "emoji", "description": "".join(HOSTILE.values()), "source": HIDING,
                             "in_domain": HOSTILE["vector"], "out_of_domain": HIDING,
                             "licences": [], "images": {}, "questions": {}}}  # fmt: skip
    report.build(simulate.write(folder / "results", plan), folder / "report", settings, provenance)
    return folder / "report" / "report.html"


def test_hostile_strings_are_text(hostile: Path) -> None:
    page = hostile.read_text(encoding="utf-8")
    assert page.count("&lt;script&gt;document.title") >= 3
    assert not re.search(r"<(?:script|iframe|base|img|b)\b|<[^<>]*\son[a-z]+=", re.sub(r'"[^"]*"', '""', page))
    assert page.count("<style") == 1


@pytest.mark.skipif(not BROWSER, reason="no Chromium")
def test_what_comes_through_unescaped_does_not_run(hostile: Path, tmp_path: Path) -> None:
    page = hostile.read_text(encoding="utf-8")
    title, said = opened(hostile)
    assert "owned" not in title.replace("&lt;script&gt;document.title = 'owned'&lt;/script&gt;", "")
    assert said == "", "the page's own parts are allowed"
    # As if the template had let them through; without the policy each does what it is meant to.
    meta = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>\n', page)
    assert meta is not None
    plain = re.sub(r"<title>.*?</title>", "<title>untouched</title>", page, flags=re.DOTALL)
    holed = plain.replace("</header>", "".join(HOSTILE.values()) + "</header>", 1)
    for name, text, expected in (("walled", holed, "untouched"), ("open", holed.replace(meta[0], ""), "owned")):
        path = tmp_path / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        title, said = opened(path)
        assert title == expected
        assert ("script" in said) == (name == "walled")


@pytest.mark.skipif(not BROWSER, reason="no Chromium")
def test_its_own_styles_apply_and_foreign_ones_do_not(tmp_path: Path) -> None:
    # A script that the test allows by hash tells how the paragraph looks.
    tells = "const s = getComputedStyle(document.querySelector('p')); document.title = s.color + ' ' + s.fontWeight"
    body = '<title></title><p style="font-weight: 700">x</p>'
    page = policy.secure(PAGE.replace("{}", body))
    foreign = "<style>p { color: blue }</style><script>document.querySelector('p').setAttribute('style', 'color: blue')"
    page = page.replace("</body>", f"{foreign}</script><script>{tells}</script></body>")
    allowed = " ".join(policy._hash(text) for text in re.findall(r"<script>(.*?)</script>", page))
    page = page.replace("img-src", f"script-src {allowed}; img-src", 1)
    path = tmp_path / "page.html"
    path.write_text(page, encoding="utf-8")
    assert opened(path)[0] == "rgb(255, 0, 0) 700"


def test_attributes_become_classes_once() -> None:
    body = '<p style="a: b">x style="c: d"</p><p class="q" style="a: b"/><br style="e: f"/>'
    page = policy.one_sheet(PAGE.replace("{}", body + "<svg><style>*{g: h}</style></svg>"))
    assert '<p class="i0">x style="c: d"</p><p class="q i0"/><br class="i1"/><svg></svg>' in page
    assert "<style>*{g: h}p { color: red }.i0 { a: b }\n.i1 { e: f }\n</style>" in page


def test_a_page_without_a_place_for_the_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="needs <meta charset>"):
        policy.secure("<html></html>")
