"""Text made fit for a terminal: cleaned, cut into Markdown blocks as it streams in, and laid out as lines.

The only door to rich. Nothing here prints, and rich is loaded by the first text that is laid out.
"""

import functools
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from memory.visible import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.markdown import Markdown
    from rich.segment import Segment
    from rich.table import Table
    from rich.text import Text

# Whole escape sequences go first, so that no stump such as "[31m" stays behind. An unfinished one loses its opening.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS: titles, clipboard, links
    r"|\x1b[ -/]*[0-~]"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
_STYLED = re.compile(r"\x1b\[[0-9;]*m")

_MARKER = r"(?:[-*+]|\d{1,9}[.)])"
_LIST_ITEM = re.compile(rf" {{0,3}}{_MARKER}(?:[ \t]|\r?$)")
_IN_LIST = re.compile(rf"\t| {{2}}|{_LIST_ITEM.pattern}")
_FENCE = re.compile(rf"([ \t]*)(?:{_MARKER}[ \t]+)*(`{{3,}}(?=[^`]*$)|~{{3,}})")
_BLANK = " \t\r\n"


def well_formed(text: str) -> str:
    """Give `text` with the two halves of a cut character joined, and a half without its other half replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def printable(text: str) -> str:
    """Give `text` without what could steer a terminal; what reorders or hides characters is shown as their number."""
    return visible(_CONTROL.sub("", _SEQUENCE.sub("", well_formed(text))))


def printable_piece(text: str) -> str:
    """The same for a piece of a text: joiners stay, since what they join may stand in other pieces."""
    return "".join(one if one in _JOINERS else printable(one) for one in re.split(f"([{_JOINERS}])", text))


class Blocks:
    """Cuts a stream of Markdown into blocks that nothing still to come can change.

    A block ends at a blank line outside a code fence. A list ends where a line after a blank one is neither an item
    nor indented. Only whole lines decide, so the blocks do not depend on how the stream is cut.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._partial: list[str] = []
        self._fence = ""
        self._opening = ""
        self._begun = self._listed = self._paused = False

    @property
    def rest(self) -> str:
        """What has come and belongs to no finished block yet."""
        return "".join([*self._lines, *self._partial])

    def feed(self, delta: str) -> list[str]:
        """Take the next piece of the stream and give the blocks that it finishes."""
        *ends, last = delta.split("\n")
        finished = []
        for end in ends:
            line = "".join([*self._partial, end, "\n"])
            self._partial.clear()
            finished += self._take(line)
        if last:
            self._partial.append(last)
        return finished

    def tail(self, limit: int) -> str:
        """Give the end of `rest`, about `limit` characters: cheap to lay out again and again; a fence stays one."""
        rest = self.rest
        if len(rest) <= limit:
            return rest
        cut = rest.find("\n", len(rest) - limit) + 1 or len(rest) - limit
        return self._opening + rest[cut:]

    def _take(self, line: str) -> list[str]:
        blank = not line.strip(_BLANK)
        finished = self._end() if self._paused and not blank and not _IN_LIST.match(line) else []
        self._lines.append(line)
        if self._fence:
            self._close_fence(line)
        elif not blank:
            self._open(line)
        elif self._listed:
            self._paused = True
        elif self._begun:
            finished += self._end()
        return finished

    def _end(self) -> list[str]:
        block = "".join(self._lines)
        self._lines.clear()
        self._begun = self._listed = self._paused = False
        return [block]

    def _open(self, line: str) -> None:
        self._begun, self._paused = True, False
        self._listed = self._listed or bool(_LIST_ITEM.match(line))
        fence = _FENCE.match(line)
        if fence and (self._listed or not _is_deep(fence[1])):
            self._fence, self._opening = fence[2], line

    def _close_fence(self, line: str) -> None:
        marks = line.strip(_BLANK)
        deep = _is_deep(line[: len(line) - len(line.lstrip(_BLANK))])
        if len(marks) >= len(self._fence) and set(marks) == {self._fence[0]} and (self._listed or not deep):
            self._fence = self._opening = ""


def _is_deep(indent: str) -> bool:
    # Four columns make indented code, where a fence is no fence. Within a list they are the item's own indent.
    return len(indent.expandtabs(4)) >= 4


def laid_out(markdown: str, width: int) -> list[str]:
    """Lay Markdown out as lines of at most `width` cells, with styles that read on light and dark backgrounds."""
    text = printable(markdown)
    lines = _lines(_markdown(text), width)
    if lines or not text.strip():
        return lines
    # Link definitions alone have no look of their own; what the model wrote is shown all the same.
    return _plain_lines(text.strip(), width)


def laid_out_table(headers: Sequence[str], rows: Iterable[Sequence[object]], width: int) -> list[str]:
    """Lay a table out, a line a row: the widest columns give way first, and a cut cell ends in an ellipsis."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header in headers:
        table.add_column(Text(one_line(header), no_wrap=True, overflow="ellipsis"))
    for row in rows:
        table.add_row(*(Text(one_line(cell), no_wrap=True, overflow="ellipsis") for cell in row))
    return _lines(table, width)


def one_line(value: object) -> str:
    """Give a value as printable text on one line."""
    return " ".join(printable(str(value)).split())


def fitted(text: str, width: int) -> str:
    """Cut `text` to `width` cells; a cut shows as an ellipsis."""
    from rich.cells import cell_len, set_cell_size

    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def cells_of(text: str) -> int:
    """Count the cells that `text` takes on a terminal."""
    from rich.cells import cell_len

    return cell_len(text)


def rows_of(line: str, width: int) -> int:
    """Count the rows that a line, styled or not, takes on a terminal `width` cells wide."""
    from rich.cells import cell_len

    return max(1, -(-cell_len(_STYLED.sub("", line)) // width))


def _plain_lines(text: str, width: int) -> list[str]:
    from rich.text import Text

    return _lines(Text(text), width)


def _lines(renderable: "RenderableType", width: int) -> list[str]:
    console = _console(max(width, 1))
    lines = [_line(segments) for segments in console.render_lines(renderable, pad=False)]
    first = next((number for number, line in enumerate(lines) if line), len(lines))
    while len(lines) > first and not lines[-1]:
        lines.pop()
    return lines[first:]


def _line(segments: "list[Segment]") -> str:
    from rich.color import ColorSystem
    from rich.segment import Segment

    if os.environ.get("NO_COLOR"):
        segments = list(Segment.remove_color(segments))
    # rich fills lines up with spaces; they would be copied along, and wrap when the terminal is made narrower.
    while segments and not segments[-1].text.strip(" "):
        segments.pop()
    # Cleaned once more: Markdown can spell a character by its number.
    texts = [printable_piece(segment.text) for segment in segments]
    texts[-1:] = [text.rstrip(" ") for text in texts[-1:]]
    styles = [segment.style for segment in segments]
    return "".join(
        style.render(text, color_system=ColorSystem.STANDARD) if style else text
        for style, text in zip(styles, texts, strict=True)
    )


@functools.lru_cache(maxsize=4)
def _console(width: int) -> "Console":
    from rich.console import Console
    from rich.theme import Theme

    return Console(width=width, force_terminal=True, highlight=False, legacy_windows=False, theme=Theme(_STYLES))


# The terminal's own colours and no background: yellow, blue and the bright ones fade on white or on black.
_STYLES = {
    "markdown.h1": "bold underline",
    "markdown.h2": "bold",
    "markdown.h3": "bold",
    "markdown.h4": "bold italic",
    "markdown.h5": "italic",
    "markdown.h6": "italic",
    "markdown.code": "cyan",
    "markdown.block_quote": "italic",
    "markdown.item.bullet": "bold",
    "markdown.item.number": "bold",
    "markdown.link": "bold",
    "markdown.link_url": "underline",
    "markdown.table.border": "dim",
    "markdown.table.header": "bold",
}
_CODE_STYLES = {
    ("Comment",): "italic dim",
    ("Keyword",): "bold",
    ("Literal", "String"): "green",
    ("Literal", "Number"): "cyan",
    ("Name", "Builtin"): "cyan",
    ("Name", "Class"): "magenta",
    ("Name", "Decorator"): "magenta",
    ("Name", "Function"): "magenta",
    ("Name", "Tag"): "magenta",
    ("Generic", "Deleted"): "red",
    ("Generic", "Inserted"): "green",
}


def _markdown(text: str) -> "Markdown":
    # An address is written out, never hidden behind other words.
    markdown = _markdown_class()(text, hyperlinks=False)
    markdown.parsed = [token for token in markdown.parsed if _shown(token)]
    return markdown


def _shown(token: Any) -> bool:
    """Change a token that rich would drop into one that it shows; say whether the token is wanted at all."""
    if token.type == "image":
        token.type, token.content = "text", f"{token.content} ({token.attrs.get('src', '')})".strip()
    elif token.type == "html_inline":
        token.type = "text"
    if token.children:
        token.children = [child for child in token.children if _shown(child)]
    return bool(token.markup != "autolink")  # the address would stand there twice


@functools.cache
def _markdown_class() -> "type[Markdown]":
    from rich.markdown import Heading, Markdown, TableElement, TextElement
    from rich.text import Text

    class LeftHeading(Heading):
        """A heading at the left edge, where the eye is."""

        LEVEL_ALIGN = dict.fromkeys(Heading.LEVEL_ALIGN, "left")

    class Code(TextElement):
        """Code between its fences, as they were written: no box and no padding that would be copied along."""

        def __init__(self, info: str, fence: str) -> None:
            self.info, self.fence = info.strip(), fence

        @classmethod
        def create(cls, markdown: Markdown, token: Any) -> "Code":
            return cls(token.info, token.markup if token.type == "fence" else "")

        def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
            if self.fence:
                yield Text(self.fence + self.info, style="dim", overflow="fold")
            yield from _code(str(self.text), self.info.partition(" ")[0], options.max_width)
            if self.fence:
                yield Text(self.fence, style="dim")

    class FittingTable(TableElement):
        """A table; where it is too narrow for its words, a list of its fields, so that none is cut."""

        def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "RenderResult":
            table = cast("Table", next(iter(super().__rich_console__(console, options))))
            needed = console.measure(table, options=options.update(width=10_000)).minimum
            yield from [table] if needed <= options.max_width else self.fields()

        def fields(self) -> "Iterator[Text]":
            """Give each row as a line a field, under the names of the columns."""
            names = [cell.content for cell in self.header.row.cells] if self.header and self.header.row else []
            if not self.body:
                yield from names
                return
            for row in self.body.rows:
                for name, cell in zip(names, row.cells, strict=False):
                    yield Text.assemble((name.plain, "bold"), ": ", cell.content)
                yield Text()

    class ShownMarkdown(Markdown):
        """Markdown that shows all that it was given, HTML too."""

        elements = Markdown.elements | {
            "heading_open": LeftHeading,
            "fence": Code,
            "code_block": Code,
            "html_block": Code,
            "table_open": FittingTable,
        }

    return ShownMarkdown


def _code(code: str, language: str, width: int) -> "Iterable[Text]":
    """Highlight code and cut its lines at the edge, to the character: code that is wrapped by words reads as other."""
    from rich.cells import chop_cells
    from rich.style import Style
    from rich.syntax import ANSISyntaxTheme, Syntax
    from rich.text import Text

    theme = ANSISyntaxTheme({token: Style.parse(style) for token, style in _CODE_STYLES.items()})
    text = Syntax("", language, theme=theme).highlight(code) if language else Text(code)
    text.expand_tabs(4)
    text.rstrip()
    for line in text.split("\n", allow_blank=True):
        pieces = chop_cells(line.plain, max(width, 2))
        offsets = list(itertools.accumulate(map(len, pieces)))[:-1]
        for piece in line.divide(offsets):
            piece.no_wrap, piece.overflow = True, "ignore"
            yield piece
