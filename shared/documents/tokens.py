"""Token counts, offline, as the embedding models of Azure OpenAI count them (cl100k_base)."""

import functools

import quicktok

ENCODING = "cl100k_base"


@functools.cache
def _tokenizer() -> quicktok.Tokenizer:
    return quicktok.get_encoding(ENCODING)


def count_tokens(text: str) -> int:
    """Return the number of tokens in `text`; text that looks like a special token counts as text."""
    return int(_tokenizer().count(text))
