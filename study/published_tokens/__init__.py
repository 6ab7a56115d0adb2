"""Tokenizers that others trained: read as their library reads them, and made smaller."""

from study.published_tokens.tokens import PublishedTokens

__all__ = ["PublishedTokens"]
