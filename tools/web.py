"""The tool that fetches a page of the web as readable text."""

from tools.addresses import kind_of
from tools.charset import page_text
from tools.download import TIMEOUT_S, Answer, Resolve, get, resolve, status_words
from tools.plain import one_line, plain
from tools.readable import Readable, readable
from tools.tool import Tool, tool

CHARACTERS = 6_000  # of one result: about 1,500 tokens of English
ERROR_CHARACTERS = 300  # of the words that come with an error
# Resolving a name and reading a very large page are not under the download's own limit.
TOOL_TIMEOUT_S = TIMEOUT_S + 25.0

_HTML = {"text/html", "application/xhtml+xml"}
_TEXT = {"application/json", "application/xml", "application/javascript", "application/yaml", "application/toml"}
_UNSAID = {"", "application/octet-stream", "binary/octet-stream"}


def fetch_tool(allow_own: bool = False, characters: int = CHARACTERS, resolve: Resolve = resolve) -> Tool:
    """Return the tool that fetches pages. A longer page comes in parts of so many `characters`.

    `allow_own`: this machine and its own network may be reached, too. `resolve` gives a host's addresses.
    """
    kinds = ("public", "own") if allow_own else ("public",)

    def web_fetch(url: str, start: int = 0, links: bool = False) -> str:
        """Fetch one web page and return its readable text. PDF files, pictures and scripts' effects are not read.

        Args:
            url: The whole address, such as https://example.org/page.
            start: How many characters to skip, to go on with a long page.
            links: Also list where the page's links lead.

        Raises:
            ValueError: The address is refused, or the page cannot be had; the message is for the model.
        """
        answer = get(url, lambda address: kind_of(address) in kinds, _wanted, resolve)
        page = _page(answer, links)
        if answer.status >= 400:
            words = one_line(page.text if page else "", ERROR_CHARACTERS)
            raise ValueError(f"{answer.url} answered {status_words(answer.status)}{': ' + words if words else ''}")
        if page is None:
            return _unread(answer)
        return _shown(answer, page, max(0, start), characters)

    return tool(web_fetch, effects=frozenset({"network"}), timeout_s=TOOL_TIMEOUT_S)


def _wanted(media_type: str) -> bool:
    """Whether a body of this type may be text."""
    return (
        media_type in _HTML | _TEXT | _UNSAID
        or media_type.startswith("text/")
        or media_type.endswith(("+json", "+xml", "json", "yaml"))
    )


def _page(answer: Answer, links: bool) -> Readable | None:
    """What there is to read; None where it is no text."""
    if not _wanted(answer.media_type):
        return None
    text = page_text(answer.body, answer.charset, whole=not answer.cut)
    if text is None:
        return None
    if answer.media_type in _HTML or (answer.media_type in _UNSAID and _looks_like_html(text)):
        return readable(text, answer.url, links)
    return Readable("", "", plain(text))


def _looks_like_html(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n")[:15].lower().startswith(("<!doctype html", "<html"))


def _unread(answer: Answer) -> str:
    size = f", {answer.size:,} bytes" if answer.size is not None else ""
    kind = one_line(answer.media_type, 80) or "of a kind that is not said"
    return f"({answer.url} is no text but {kind}{size}; its content is not shown)"


def _shown(answer: Answer, page: Readable, start: int, characters: int) -> str:
    head = [f"Title: {page.title}"] if page.title else []
    head += [f"Address: {answer.url}", *([f"Date: {page.date}"] if page.date else [])]
    part = page.text[start : start + characters]
    parts = ["\n".join(head), part or _empty(page.text, start)]
    end = start + len(part)
    if part and end < len(page.text):
        parts.append(f"[... {len(page.text) - end:,} characters follow; go on with start={end} ...]")
    elif answer.cut:
        parts.append(f"[... the page is not whole: {answer.cut} ...]")
    if page.links:
        parts.append("Links:\n" + "\n".join(f"- {words}: {address}" for words, address in page.links))
    return "\n\n".join(parts)


def _empty(text: str, start: int) -> str:
    if text:
        return f"(the page has {len(text):,} characters; there is nothing from {start:,} on)"
    return "(the page has no words; it may be one that a script fills in)"
