"""Text as its owner can judge it: what a terminal would obey, hide or reorder is spelled out."""

BLANK = "\u2800"  # a sign of Braille without a dot: printable, and looks like a space


def visible(text: str) -> str:
    """The text with each unseen character as a sign: "␛" for ESC, "<U+202E>" for an override of the direction.

    Line ends and tabs stay. What counts as unseen is what Python finds not printable: control and format characters,
    spaces other than the usual one, private and unassigned ones.
    """
    if text.isprintable() and BLANK not in text:
        return text
    return "".join(each if (each.isprintable() and each != BLANK) or each in "\n\t" else _sign(each) for each in text)


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)  # the block of control pictures
    return "␡" if code == 0x7F else f"<U+{code:04X}>"
