"""What of a message its writer only passes on: block quotes, code, forwarded mail, pages. Pure."""

import re

# Quoted lines and code; a page's source; a mail's text below the line that programs put before what they forward.
_PASSED_ON = re.compile(
    r"```.*?(?:```|\Z)|^[ \t]*>[^\n]*$|<!doctype html.*|<html\b.*"
    r"|^[ \t]*(?:-{2,}[ \t]*(?:original message|forwarded message|ursprüngliche nachricht|weitergeleitete nachricht"
    r"|message (?:d'origine|transféré)|mensaje original|mensagem original)\b|begin forwarded message:).*",
    re.DOTALL | re.MULTILINE | re.IGNORECASE,
)
DOCUMENT_CHARS = 6_000  # about 1,000 words: so much is pasted, not typed


def own_words(text: str) -> list[str]:
    """The pieces of a message that its writer wrote, in order."""
    return _PASSED_ON.split(text)


def is_document(text: str) -> bool:
    """Is a message so long that most of it was written elsewhere?"""
    return len(text) > DOCUMENT_CHARS
