"""The page's content security policy: its own styles by their hashes, and no script at all.

The template escapes all strings; the policy is the second wall, should one ever come through unescaped. It cannot be
`style-src 'unsafe-inline'`: foreign styles can hide or replace what a report says, and fetch nothing only as long as
no other directive is loosened. Hashes do not cover attributes, so `style="..."` becomes a class of the page's sheet.
"""

from __future__ import annotations

import base64
import hashlib
import re

_CHARSET = '<meta charset="utf-8">'
_TAG = re.compile(r"<[a-zA-Z][^<>]*>")
_STYLE = re.compile(r'\sstyle="([^"]*)"')
_CLASS = re.compile(r'\sclass="([^"]*)"')
_SHEET = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)


def secure(page: str) -> str:
    """The page with its declarations in one sheet, and with the policy that allows this sheet and nothing else.

    Raises:
        ValueError: the page lacks what the policy is put behind, `<meta charset="utf-8">`, or a sheet.
    """
    if _CHARSET not in page or not _SHEET.search(page):
        raise ValueError("a page needs <meta charset> and a <style> element for its policy")
    page = one_sheet(page)
    return page.replace(
        _CHARSET, f'{_CHARSET}\n<meta http-equiv="Content-Security-Policy" content="{policy(page)}">', 1
    )


def policy(page: str) -> str:
    """Directives by which a browser applies the page's sheets, shows its images, and runs and fetches nothing."""
    sheets = dict.fromkeys(match[1] for match in _SHEET.finditer(page))
    return (
        f"default-src 'none'; style-src {' '.join(map(_hash, sheets))}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def one_sheet(page: str) -> str:
    """The page with the figures' sheets and all style attributes moved to the end of the first sheet, as classes."""
    classes: dict[str, str] = {}

    def tag(match: re.Match[str]) -> str:
        written = match[0]
        style = _STYLE.search(written)
        if style is None:
            return written
        name = classes.setdefault(style[1], f"i{len(classes)}")
        written = written[: style.start()] + written[style.end() :]
        if _CLASS.search(written):
            return _CLASS.sub(lambda found: f' class="{found[1]} {name}"', written)
        end = len(written) - (2 if written.endswith("/>") else 1)
        return f'{written[:end]} class="{name}"{written[end:]}'

    first = _SHEET.search(page)
    assert first is not None
    head, own, rest = page[: first.start(1)], first[1], page[first.end(1) :]
    # Every figure brings the same sheet, and its `*` is all of the page: once is enough, before what is more exact.
    drawn = "".join(dict.fromkeys(match[1] for match in _SHEET.finditer(rest)))
    rest = _TAG.sub(tag, re.sub(r"<defs>\s*</defs>", "", _SHEET.sub("", rest)))
    rules = "".join(f".{name} {{ {style} }}\n" for style, name in classes.items())
    return f"{head}{drawn}{own}{rules}{rest}"
