"""The data sets of captioned images, by the name that a part's `source` gives."""

from __future__ import annotations

from study.data.base import CorpusError
from study.data.published.crossmodal3600 import Crossmodal3600
from study.data.published.multi30k import Multi30k
from study.data.published.multilingual_coco import MultilingualCoco
from study.data.published.sources import CaptionSource
from study.data.published.webdataset import Webdataset
from study.data.published.xtd10 import Xtd10
from study.names import hint

CAPTION_SOURCES: dict[str, CaptionSource] = {
    source.record.name: source for source in (Crossmodal3600(), Xtd10(), Multi30k(), MultilingualCoco(), Webdataset())
}


def caption_source(name: str) -> CaptionSource:
    """The data set called `name`; raises CorpusError, with the nearest name."""
    if name not in CAPTION_SOURCES:
        raise CorpusError(f"unknown source of captions {name!r}{hint(name, CAPTION_SOURCES)}")
    return CAPTION_SOURCES[name]
