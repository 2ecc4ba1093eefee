"""Masking: secrets in a text become marks like "[masked: GitHub token]" before it is stored. Pure.

What is looked for has a form of its own (keys, tokens, card numbers with their checksum), or stands where a secret is
named ("password: ...", "my PIN is ..."). An IBAN is none: it is given to whoever is to pay, and opens nothing.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from memory.masks import MARK

MARKS = re.compile(r"\[masked: [A-Za-z ]{3,30}\]")
LONGEST_MARK = 40  # characters
# Joiners and the like, which nobody sees: they would split a key's form, and are passed over.
UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_UNSEEN = re.compile(f"[{UNSEEN}]")

Check = Callable[[str], bool]
Span = tuple[int, int, str]


def _always(_value: str) -> bool:
    return True


def _luhn(value: str) -> bool:
    """Whether the digits have the checksum that card numbers have (ISO/IEC 7812)."""
    digits = [int(one) for one in value if one.isdigit()][::-1]
    doubled = (sum(divmod(2 * one, 10)) for one in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0 and len(set(digits)) > 1


PLACEHOLDER = re.compile(
    r"""[*x•.…_?-]+$ | [<${%\[(] | .*(?:example|placeholder|changeme|redacted|masked) | your | my[_-] | insert
    | (?:none|null|nil|true|false|undefined|string|required|optional|missing|invalid|incorrect|wrong|forgotten|changed
      |reset|secure|strong|weak|field|hash|hashed|encrypted|self|process|os|env|settings|config|request|args|options
      |getenv|input|prompt|user|this|params|data|props|state|https?:?)(?:[.(\[:!?]|$)""",
    re.IGNORECASE | re.VERBOSE,
)


def _strong(value: str) -> bool:
    """Whether a value looks made by chance: letters and digits, of some length, and no call or placeholder."""
    return (
        len(value) >= 8
        and bool(re.search(r"\d", value))
        and bool(re.search(r"[A-Za-z]", value))
        and not PLACEHOLDER.match(value)
        and not re.search(r"[()]", value)
    )


def _passwordlike(value: str) -> bool:
    """Whether a value can be a password and is no usual word: with a digit, a sign or a capital inside, or long."""
    if PLACEHOLDER.match(value) or re.search(r"\w\(|\)$", value):
        return False
    inside = re.search(r"\d|[^\W\d_][#$%&*+=@!^~_?][^\W_]|[^\W\d_][!#$%&*]$|(?-i:[a-z][A-Z])", value)
    return len(value) >= 4 and (bool(inside) or (value.isalpha() and len(value) >= 20))


def _worded(value: str) -> bool:
    """The same after a colon at a line's end, or in quotation marks, where a word alone is one, too."""
    return _passwordlike(value) or (len(value) >= 6 and not PLACEHOLDER.match(value) and not re.search(r"\(", value))


def _key(value: str) -> bool:
    return bool(re.search(r"\d", value)) and bool(re.search(r"[A-Za-z]{2}", value[3:]))


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of secret. `hints`: one of them stands at its beginning; those in lower case are looked for in any case.

    The group `secret` of the pattern is masked, or all of it where it has none. `whole`: its length is fixed, so it is
    found though a line break splits it.
    """

    name: str
    hints: tuple[str, ...]
    pattern: str
    check: Check = _always
    whole: bool = False

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern; most texts hold no hint, so most patterns are never needed."""
        return _compiled(self.pattern)


_compiled = cache(re.compile)


def _form(name: str, hints: str, pattern: str, check: Check = _always, whole: bool = False) -> Form:
    return Form(name, tuple(hints.split("|")), pattern, check, whole)


# Words for what is secret, in the languages of the Latin alphabet that are most spoken, and in Russian.
NAMES = (
    r"pass\s?word|passwd|passphrase|passcode|pass\s?code|\bpwd|\bpw\b|passwort|kennwort|contrase(?:ñ|n)a|mot\s+de\s+passe|"
    r"\bsenha|palavra-passe|wachtwoord|lösenord|hasło|parola|пароль"
)
NAME_HINTS = "passw|pass w|passphrase|passcode|pass code|pwd|pw:|pw=|pw is|pw ist|kennwort|contrase|mot de passe|senha|palavra-passe|wachtwoord|lösenord|hasło|parola|пароль"  # noqa: E501
KEY = (
    r"(?:api|access|secret|private|auth|account|encryption|signing|license|subscription|service)[ _-]?keys?|apikey|"
    r"(?:client|app|api|shared|webhook|consumer)?[ _-]?secret(?:[ _-]?(?:access[ _-]?)?key)?|"
    r"(?:access|auth|refresh|bearer|bot|api|id|session|csrf|deploy|personal)?[ _-]?token|credentials?"
)
KEY_HINTS = "key|secret|token|credential"
OPEN, NEXT = r"\\{0,3}[\"'`]?", r"\s{0,3}(?:=>|:=|==?|[:：])\s{0,3}"
BARE = r"[^\s\"'`,;<>{}\\&|\u200b]"
IS = r"(?:is|was|are|ist|lautet|war|es|est|é|è|jest|är)\s+(?:now|still|just|currently|jetzt|noch|ahora|maintenant)?\s{0,2}:?\s{0,2}"  # noqa: E501
# What it is for, between its name and its value: "for the guest wifi", "für das Netz", "del router".
FOR = r"(?:\s+(?:for|to|of|on|at|in|für|fürs|vom|von|zum|zu|de|del|du|da|do|pour|para|per|voor)\s+(?:[^\s.!?]{1,20}\s+){0,4}?[^\s.!?]{1,20})?"  # noqa: E501

FORMS: tuple[Form, ...] = (
    _form(
        "private key",
        "private key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----(?:[^-]|-(?!----)){0,20000}"
        r"(?:-----END [A-Z0-9 ]{0,40}-----)?",
    ),
    _form("private key", "age-secret-key-1", r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b", whole=True),
    _form("AWS access key", "AKIA|ASIA|ABIA|ACCA", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", whole=True),
    _form("GitHub token", "ghp_|gho_|ghu_|ghs_|ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36}", whole=True),
    _form("GitHub token", "ghp_|gho_|ghu_|ghs_|ghr_", r"\bgh[pousr]_[A-Za-z0-9]{36,255}"),
    _form("GitHub token", "github_pat_", r"\bgithub_pat_\w{22,255}"),
    _form("GitLab token", "glpat-|gldt-|glrt-|glptt-|glsoat-|glcbt-", r"\bgl[a-z]{2,5}-[\w.-]{20,100}\b"),
    _form("Slack token", "xox|xapp-", r"\b(?:xox[a-z]|xapp)-[\w-]{10,250}", _key),
    _form("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/services/(?P<secret>T\w{5,20}/B\w{5,20}/\w{15,40})"),
    _form("Discord webhook", "discord", r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d{15,21}/[\w-]{40,90})"),
    _form("Stripe key", "k_live_|k_test_", r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,250}"),
    _form("webhook secret", "whsec_", r"\bwhsec_[A-Za-z0-9+/=]{24,100}"),
    _form("API key", "sk-", r"\bsk-(?:[A-Za-z0-9]{2,12}-){0,3}[A-Za-z0-9_-]{0,60}?[A-Za-z0-9]{16}[\w-]{0,250}", _key),
    _form("Google API key", "AIza", r"\bAIza[\w-]{35}", whole=True),
    _form("Google token", "ya29.|gocspx-|1//0", r"(?:\bya29\.|\bGOCSPX-|\b1//0)[\w-]{20,250}"),
    _form("JSON web token", "eyJ", r"\beyJ[\w-]{8,4000}\.(?:eyJ)?[\w-]{8,8000}(?:\.[\w-]{0,2000})?"),
    _form("SendGrid key", "SG.", r"\bSG\.[\w-]{16,32}\.[\w-]{16,64}"),
    _form("Twilio key", "SK", r"\bSK[0-9a-f]{32}\b", whole=True),
    _form("Telegram token", ":AA", r"\b\d{8,10}:AA[\w-]{33}\b", whole=True),
    _form("Mailchimp key", "-us", r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    _form("Mailgun key", "key-", r"\bkey-[0-9a-f]{32}\b", whole=True),
    _form("Databricks token", "dapi", r"\bdapi[0-9a-f]{32}\b", whole=True),
    _form(
        "access token",
        "hf_|npm_|pypi-|dop_v1_|doo_v1_|dor_v1_|shpat_|shpss_|shpca_|shppa_|sq0|hvs.|hvb.|hvr.|lin_api_|ntn_|gsk_|tvly-|xai-|pplx-|r8_|tskey-|dckr_pat_|atatt3|sntr"
        "|figd_|glc_|glsa_|pmak-|rubygems_|nvapi-|secret_|EAA|pul-|ctp_|sbp_",
        r"\b(?:hf_|npm_|pypi-|do[opr]_v1_|shp(?:at|ss|ca|pa)_|sq0(?:atp|csp)-|hv[sbr]\.|lin_api_|ntn_|gsk_|tvly-|xai-"
        r"|pplx-|r8_|tskey-|dckr_pat_|ATATT3|sntry[su]_|figd_|glc_|glsa_|PMAK-|rubygems_|nvapi-|secret_|EAA[A-Z]|pul-"
        r"|ctp_|sbp_)[A-Za-z0-9_=-]{20,400}",
        _key,
    ),
    _form("storage key", "accountkey", r"(?i)AccountKey=(?P<secret>[A-Za-z0-9+/]{40,120}={0,2})"),
    _form(
        "AWS secret key",
        "secret",
        r"(?i)secret(?:[ _]?access)?[ _]key\W{1,6}(?:is\W{1,3})?(?P<secret>[A-Za-z0-9/+]{40})(?![\w/+])",
        _strong,
    ),
    _form(
        "password",
        "://",
        r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,80}:(?P<secret>[^\s/@\"'<>]{3,200})@",
        lambda one: not PLACEHOLDER.match(one),
    ),
    _form("bearer token", "bearer", r"(?i)\bbearer\s{1,3}(?P<secret>[A-Za-z0-9._~+/=-]{16,4000})", _strong),
    _form("password", "basic", r"(?i)authorization\W{1,6}basic\s{1,3}(?P<secret>[A-Za-z0-9+/=]{8,400})"),
    _form(
        "password",
        NAME_HINTS,
        rf"(?i)(?:{NAMES})[\w-]{{0,12}}{OPEN}\]?{NEXT}(?P<quote>\\{{0,3}}[\"'`“„«])(?P<secret>[^\"'`”“»\n\\]{{4,120}})",
        _worded,
    ),
    _form(
        "password",
        NAME_HINTS,
        rf"(?i)(?:{NAMES})[\w-]{{0,12}}{OPEN}\]?{NEXT}(?P<secret>{BARE}{{4,120}})",
        _passwordlike,
    ),
    _form(
        "password",
        NAME_HINTS,
        rf"(?im)(?:{NAMES})\s{{0,2}}[:=]\s{{0,3}}(?P<secret>[^\W\d_]{{6,60}})[ \t.]{{0,3}}$",
        _worded,
    ),
    _form(
        "password",
        "pass",
        r"(?:^|[\s;])(?:--password|--passwd|--pass|PGPASSWORD|MYSQL_PWD)[= ](?P<secret>[^\s\"']{4,100})",
        _passwordlike,
    ),
    _form(
        "password",
        NAME_HINTS,
        rf"(?i)(?:{NAMES}){FOR}\s+{IS}(?P<secret>[^\s\"'`“„«]{{4,80}})",
        _passwordlike,
    ),
    _form(
        "password",
        NAME_HINTS,
        rf"(?i)(?:{NAMES}){FOR}\s+{IS}[\"'`“„«](?P<secret>[^\"'`”“»\n]{{4,120}})[\"'`”“»]",
        _worded,
    ),
    _form("secret", KEY_HINTS, rf"(?i)(?:{KEY}){OPEN}\]?{NEXT}{OPEN}(?P<secret>{BARE}{{8,400}})", _strong),
    _form("secret", KEY_HINTS, rf"(?i)(?:{KEY}){FOR}\s+{IS}{OPEN}(?P<secret>{BARE}{{12,400}})", _strong),
    _form(
        "PIN",
        "PIN|Pin| pin",
        rf"(?:\bPIN|\b[Pp]in)(?:[ -]?(?:[Cc]ode|[Nn]umber|[Nn]ummer))?{FOR}\s{{0,2}}(?:\s{IS}|[:=])\s{{0,2}}(?P<secret>\d{{4,8}})\b(?![.,]\d)",  # noqa: E501
    ),
    _form("PIN", "PIN|Pin| pin", r"\bPIN\s(?P<secret>\d{4,8})\b(?![.,]\d)"),
    _form("card code", "CV|CSC", r"\bC(?:VV|VC|SC)2?\W{1,3}(?:is\s)?(?P<secret>\d{3,4})\b"),
    _form(
        "recovery phrase",
        "seed|recovery|mnemonic",
        r"(?i)\b(?:seed|recovery|mnemonic)\s(?:phrase|words)\W{1,4}(?:is\W{1,3}|are\W{1,3})?"
        r"(?P<secret>(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})",
    ),
)
ANY_CASE = tuple({hint for form in FORMS for hint in form.hints if hint.islower()})
THIS_CASE = tuple({hint for form in FORMS for hint in form.hints if not hint.islower()})
WHOLE = tuple(form for form in FORMS if form.whole)
BREAKS = re.compile(r"\s{0,20}\n\s{0,20}")
BEFORE, AFTER = 60, 700  # characters around a hint in which a secret is looked for
LONG = 21_000  # the same after the hint of a block of lines or a token of several parts
# Visa, Mastercard, Discover and UnionPay have 16 digits, American Express 15, Diners 14; in groups as they are printed.
CARD = re.compile(
    r"""(?<![\w.,/=\#+-])(?:
      (?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6(?:011|4[4-9]\d|5\d\d|2\d\d))(?P<gap>[ -]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}
      | 3[47]\d\d[ -]?\d{6}[ -]?\d{5} | 3(?:0[0-5]|[68]\d)\d[ -]\d{6}[ -]\d{4} )(?![\w=]|[-/]\d|\.\d)""",
    re.VERBOSE,
)
_DIGITS = re.compile(r"\d{4}[ -]?\d{4}")


def masked(text: str) -> tuple[str, tuple[str, ...]]:
    """The text with a mark in place of each secret, and the names of those that were found.

    What is masked already stays as it is, so that a second time changes nothing.
    """
    names: list[str] = []
    while spans := _spans(text):
        pieces, end = [], 0
        for start, stop, name in spans:
            pieces += [text[end:start], f"{MARK}{name}]"]
            end = stop
        text = "".join(pieces) + text[end:]
        names += [name for _, _, name in spans]
    return text, tuple(names)


def _spans(text: str) -> list[Span]:
    """Where secrets stand, in order and apart from each other; nothing of what is masked already."""
    found = sorted(_found(text), key=lambda span: (span[0], -span[1]))
    if not found:
        return []
    taken = [(mark.start(), mark.end()) for mark in MARKS.finditer(text)]
    apart: list[Span] = []
    for start, stop, name in found:
        before = apart[-1][1] if apart else 0
        if start >= before and not any(start < end and begin < stop for begin, end in taken):
            apart.append((start, stop, name))
    return apart


def _found(text: str) -> Iterator[Span]:
    yield from _looked_for(text, FORMS)
    if not text.isascii() and _UNSEEN.search(text):
        seen, places = _without(text, _UNSEEN)
        yield from _placed(_looked_for(seen, FORMS), places)
    if "\n" in text and any(hint in text for form in WHOLE for hint in form.hints):
        joined, places = _without(text, BREAKS)
        yield from _placed(_looked_for(joined, WHOLE, cards=False), places)


def _looked_for(text: str, forms: Sequence[Form], cards: bool = True) -> Iterator[Span]:
    low = text.lower()
    present = {hint for hint in ANY_CASE if hint in low}.union(hint for hint in THIS_CASE if hint in text)
    for form in forms if present else ():
        if present.isdisjoint(form.hints):
            continue
        for first, last in _near(text, low, form):
            yield from _matches(form, text, first, last)
    if cards and _DIGITS.search(text):
        yield from ((*one.span(), "card number") for one in CARD.finditer(text) if _luhn(one[0]))


def _near(text: str, low: str, form: Form) -> list[tuple[int, int]]:
    """The parts of the text around a hint, in order; usually none, and then no pattern is tried."""
    places: list[int] = []
    for hint in form.hints:
        looked = low if hint.islower() else text
        place = looked.find(hint)
        if place >= 0 and len(low) != len(text):  # some letters have longer small ones: places differ
            return [(0, len(text))]
        while place >= 0:
            places.append(place)
            place = looked.find(hint, place + 1)
    parts: list[tuple[int, int]] = []
    after = LONG if form.hints[0] in ("private key", "eyJ") else AFTER
    for place in sorted(places):
        if parts and place - BEFORE <= parts[-1][1]:
            parts[-1] = (parts[-1][0], place + after)
        else:
            parts.append((max(0, place - BEFORE), place + after))
    return parts


def _matches(form: Form, text: str, first: int, last: int) -> Iterator[Span]:
    group = "secret" if "(?P<secret>" in form.pattern else 0
    for match in form.compiled.finditer(text, first, last):
        start, stop = match.span(group)
        stop = start + len(text[start:stop].rstrip(".,;:)?")) if group else stop
        if stop > start and form.check(text[start:stop]):
            yield start, stop, form.name


def _without(text: str, left_out: re.Pattern[str]) -> tuple[str, list[int]]:
    """The text without what matches, and for each of its characters the place in the whole text."""
    kept: list[int] = []
    end = 0
    for match in left_out.finditer(text):
        kept += range(end, match.start())
        end = match.end()
    kept += range(end, len(text))
    return "".join(map(text.__getitem__, kept)), kept


def _placed(spans: Iterator[Span], places: list[int]) -> Iterator[Span]:
    for start, stop, name in spans:
        yield places[start], places[stop - 1] + 1, name
