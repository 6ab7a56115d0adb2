"""What the documentation makes when it is built: pages from schemas, and links to files of the repository.

Generated pages can not be out of date. A link to a file outside docs/ must lead to one that is there; it becomes a
link to the repository's host where mkdocs.yml names one (`repo_url`), and else the file's path.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import typer

from pipeline.__main__ import app
from study import measures, records
from study.config import reference

ROOT = Path(__file__).resolve().parent.parent
LOG = logging.getLogger("mkdocs.hooks.links")
LINK = re.compile(r"(!?)\[([^\]]+)\]\(([^)#\s]+)(#[^)\s]*)?\)")

PARAMS = """# params.yaml

Every key that a study may declare. This page is made from the schema that checks the file, when the page is built.
An unknown key is refused before anything runs, with the nearest name.

Editors that know the YAML language server complete keys and underline mistakes: the first line of each `params.yaml`
names [params.schema.json](../../params.schema.json). `make schema` writes that file anew.

"""
RESULTS = """# Result tables

`results/*.parquet` are long, tidy tables. They are the only thing that the analysis reads, so
`python -m analysis --results FOLDER --out FOLDER` makes the report of any folder that keeps to them. This page is made
from [study/records.py](../../study/records.py), when the page is built.

A factor is a value in a column, never a part of a column's name. Scores are fractions; the report shows points.

"""
COMMANDS = """# Command line

`small-polyglots` is the command line of a study: run it in the folder of a `params.yaml`. `python -m pipeline` is the
same. DVC runs the stages, in the order of [dvc.yaml](../../dvc.yaml); you run the tools. `make help` lists the
shortcuts of the [Makefile](../../Makefile). This page is made from the commands' own help, when the page is built.

"""


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    pages = {
        "reference/params.md": PARAMS + reference.markdown(),
        "reference/results.md": RESULTS + results(),
        "reference/commands.md": COMMANDS + commands(),
        "contributing.md": at_root("CONTRIBUTING.md"),
        "changelog.md": at_root("CHANGELOG.md"),
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Resolve links that leave docs/."""
    here = (ROOT / "docs" / page.file.src_uri).parent
    known = {file.src_uri for file in files}

    def resolved(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups()
        if picture or re.match(r"[a-z]+:", target):
            return match[0]
        path = (here / target).resolve()
        if (ROOT / "docs") in path.parents or ROOT not in path.parents:
            return match[0]  # mkdocs itself checks these
        name = path.relative_to(ROOT).as_posix()
        if (own := name.lower()) in known and "/" not in name:
            return f"[{text}]({'../' * page.file.src_uri.count('/')}{own}{anchor or ''})"
        if not path.exists():
            LOG.warning("%s links to %s, which is not there", page.file.src_uri, name)
        if config.repo_url:
            return f"[{text}]({config.repo_url.rstrip('/')}/blob/HEAD/{name})"
        plain = text.strip("`")
        return f"`{name}`" if plain.strip("./") in name else f"{text} (`{name}`)"

    return LINK.sub(resolved, markdown)


def on_page_content(html: str, page: Any, config: Any, files: Any) -> str:
    """Let long names of functions break at their divisions."""

    def broken(match: re.Match[str]) -> str:
        return match[0].replace("/", "/<wbr>").replace("::", "::<wbr>")

    return re.sub(r"(?<=<code>)[\w/.]+\.py::[\w.]+(?=</code>)", broken, html)


def at_root(name: str) -> str:
    """A page that lies in the root, with its links seen from docs/."""

    def moved(match: re.Match[str]) -> str:
        picture, text, target, anchor = match.groups()
        if re.match(r"[a-z]+:", target):
            return match[0]
        inner = target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}"
        return f"{picture}[{text}]({inner}{anchor or ''})"

    return LINK.sub(moved, (ROOT / name).read_text(encoding="utf-8"))


def commands() -> str:
    """Every command with its arguments and options."""
    command: Any = typer.main.get_command(app)
    panels: dict[str, list[str]] = {}
    for name, found in command.commands.items():
        usage = " ".join(["small-polyglots", name, *(_usage(parameter) for parameter in found.params)])
        lines = [f"### {name}", "", _cell((found.help or "").strip()), "", "```text", usage, "```", ""]
        helps = [(parameter, getattr(parameter, "help", None)) for parameter in found.params]
        lines += [f"- `{_usage(parameter).strip('[]')}`: {_cell(text)}" for parameter, text in helps if text]
        panels.setdefault(found.rich_help_panel, []).extend([*lines, ""])
    return "\n".join(line for panel, lines in panels.items() for line in (f"## {panel}", "", *lines))


def _usage(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    text = f"{parameter.opts[0]} {parameter.metavar or parameter.name.upper()}"
    return text if parameter.required else f"[{text}]"


def results() -> str:
    """Every table with its columns, then every measure."""
    lines: list[str] = []
    for table in (*records.TABLES.values(), *records.OPTIONAL_TABLES.values()):
        optional = " (may be missing)" if table.name in records.OPTIONAL_TABLES else ""
        key = ", ".join(f"`{name}`" for name in table.key)
        lines += [f"## {table.name}.parquet{optional}", "", f"One row per {key}.", ""]
        lines += ["| Column | Type | Unit | Meaning |", "|---|---|---|---|"]
        lines += [f"| `{c.name}` | {c.dtype} | {c.unit} | {_cell(c.meaning)} |" for c in table.columns]
        lines.append("")
    lines += [
        "## Measures",
        "",
        f"The headline outcomes: {_headlines()}. Why these: [What is measured](../constructs.md).",
        "",
    ]
    for kind, found in {**measures.KINDS, "collapse": measures.COLLAPSE_INDICATORS}.items():
        lines += [
            f"### Measures of {kind}",
            "",
            "| Measure | Meaning | Better | How, and source |",
            "|---|---|---|---|",
        ]
        for measure in found:
            words = "; ".join(text for text in (measure.detail, measure.source) if text)
            better = "higher" if measure.higher_is_better else "lower"
            lines.append(f"| `{measure.name}` | {_cell(measure.meaning)} | {better} | {_cell(words)} |")
        lines.append("")
    return "\n".join(lines)


def _headlines() -> str:
    return ", ".join(f"{kind} (`{found[0]}`)" for kind, found in measures.HEADLINES.items())


def _cell(text: str) -> str:
    text = text.replace("|", "\\|").replace("{", "&#123;").replace("<", "&lt;")
    return re.sub(r"\bsee [A-Z]+_[A-Z]+\b", "see [measures](#measures)", text)
