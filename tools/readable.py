"""The readable text of a page: its title, its date, and its words as Markdown without menus and advertising."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urldefrag, urljoin

from tools.plain import one_line, plain, without_tags

# The extractor takes about 0.1 ms for an element; a page of more is read as it stands. Long articles have 20,000.
MAX_ELEMENTS = 50_000
MAX_LINKS = 50
TITLE_CHARACTERS = 200
# What a browser does not show. What a style sheet hides, or colours like the paper, cannot be told here.
_STYLE = "translate(@style, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ ', 'abcdefghijklmnopqrstuvwxyz')"  # in lower case, no blanks
_HIDDEN = (
    "//template | //noscript | //*[@hidden] | //*[@aria-hidden='true']"
    f" | //*[contains({_STYLE}, 'display:none')] | //*[contains({_STYLE}, 'visibility:hidden')]"
)


@dataclass(frozen=True, slots=True)
class Readable:
    """A page's title, its date (YYYY-MM-DD) and its text; "" for what it has none of. `links`: words and addresses."""

    title: str
    date: str
    text: str
    links: tuple[tuple[str, str], ...] = ()


def readable(html: str, url: str, links: bool = False) -> Readable:
    """Read a page that lies at `url`. With `links`, the addresses it leads to are gathered as well."""
    import trafilatura
    from trafilatura.metadata import extract_metadata

    tree = trafilatura.load_html(html)
    if tree is None:  # words without any element, or hardly any
        return Readable("", "", plain(without_tags(html)))
    for element in tree.xpath(_HIDDEN):
        if element.getparent() is not None:
            element.drop_tree()
    gathered = tuple(islice(_links(tree, url), MAX_LINKS)) if links else ()
    if sum(1 for _ in tree.iter()) > MAX_ELEMENTS:
        return Readable("", "", _all_words(tree), gathered)
    about = extract_metadata(tree, default_url=url, extensive=False)
    # A page of links or of few words has nothing that reads as an article; all its words are better than none.
    text = trafilatura.extract(tree, output_format="markdown") or _all_words(tree)
    return Readable(one_line(about.title or "", TITLE_CHARACTERS), about.date or "", plain(text), gathered)


def _all_words(tree: Any) -> str:
    """All words of a page, each piece between two tags on a line of its own."""
    pieces = tree.xpath("//body//text()[not(parent::script or parent::style)]")
    return plain("\n".join(line for piece in pieces if (line := " ".join(piece.split()))))


def _links(tree: Any, url: str) -> Iterator[tuple[str, str]]:
    """The links of a page to other pages, each once."""
    seen = {urldefrag(url).url}
    for anchor in tree.iterfind(".//a[@href]"):
        words = one_line(anchor.text_content(), 100)
        address = _address(url, anchor.get("href"))
        if words and address and address not in seen:
            seen.add(address)
            yield words, address


def _address(url: str, href: str) -> str:
    try:
        address = urldefrag(urljoin(url, href.strip())).url
    except ValueError:  # such as a bracket out of place
        return ""
    return one_line(address, 500) if address.startswith(("http://", "https://")) else ""
