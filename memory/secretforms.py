"""What secrets look like: forms of their own, and the names that stand before them. Pure."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

Check = Callable[[str], bool]


def _always(_value: str) -> bool:
    return True


PLACEHOLDER = re.compile(
    r"""[*x•.…_?-]+$ | [<${%\[(] | .*(?:example|placeholder|changeme|redacted|masked) | your | my[_-] | insert
    | (?:none|null|nil|true|false|undefined|string|required|optional|missing|invalid|incorrect|wrong|forgotten|changed
      |reset|secure|strong|weak|field|hash|hashed|encrypted|self|process|os|env|settings|config|request|args|options
      |getenv|input|prompt|user|this|params|data|props|state|https?:?)(?:[.(\[:!?]|$)""",
    re.IGNORECASE | re.VERBOSE,
)


def _strong(value: str) -> bool:
    """Whether a value looks made by chance: letters and digits, of some length, and no call or placeholder."""
    return _mixed(value) and not re.search(r"[()]", value)


def _mixed(value: str) -> bool:
    """The same in quotation marks, where a bracket calls nothing."""
    return (
        len(value) >= 8
        and bool(re.search(r"\d", value))
        and bool(re.search(r"[A-Za-z]", value))
        and not PLACEHOLDER.match(value)
    )


def _random(value: str) -> bool:
    """Whether a value is made by chance beyond doubt: nothing but a space stands between it and its name."""
    runs = re.findall(r"[A-Za-z0-9]{16,}+", value)
    return any(len(re.findall(r"\d", run)) >= 2 and bool(re.search("[A-Za-z]", run)) for run in runs)


def _chance(value: str) -> bool:
    """The same of a run in base64, where a slash stands in paths, too: digits, capitals and small letters."""
    return all(re.search(kind, value) for kind in (r"\d", "[A-Z]", "[a-z]")) and value.count("/") <= 3


def _passwordlike(value: str) -> bool:
    """Whether a value can be a password and is no usual word: with a digit, a sign or a capital inside, or long."""
    if PLACEHOLDER.match(value) or re.search(r"\w\(|\)$", value):
        return False
    inside = re.search(r"\d|[^\W\d_][#$%&*+=@!^~_?][^\W_]|[^\W\d_][!#$%&*]$|(?-i:[a-z][A-Z])", value)
    return len(value) >= 4 and (bool(inside) or (value.isalpha() and len(value) >= 20))


def _worded(value: str) -> bool:
    """The same after a colon at a line's end, or in quotation marks, where a word alone is one, too."""
    return _passwordlike(value) or (len(value) >= 6 and not PLACEHOLDER.match(value) and not re.search(r"\(", value))


def _given(value: str) -> bool:
    """Whether an option of a command holds a password: numbers there are ids and ports."""
    return _passwordlike(value) and not re.fullmatch(r"[\d.:]+", value)


def _key(value: str) -> bool:
    return bool(re.search(r"\d", value)) and bool(re.search(r"[A-Za-z]{2}", value[3:]))


def _api_key(value: str) -> bool:
    return _key(value) and bool(re.search(r"[A-Za-z0-9]{12}", value))


_compiled = cache(re.compile)


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of secret with a form of its own. It begins with one of the `hints`, literally, and so does the pattern.

    The group `secret` of the pattern is masked, or all of it where it has none, and so many characters `before` it.
    `whole`: its length is fixed, so it is found though a line break splits it.
    """

    name: str
    hints: tuple[str, ...]
    pattern: str
    check: Check = _always
    whole: bool = False
    before: int = 0

    @property
    def compiled(self) -> re.Pattern[str]:
        """The pattern; most texts hold no hint, so most patterns are never needed."""
        return _compiled(self.pattern)


@dataclass(frozen=True, slots=True)
class Tail:
    """What may follow a name of a secret. Each group of the pattern is a value that is masked if its check agrees."""

    pattern: str
    checks: Mapping[str, Check]


def either(patterns: Iterable[str]) -> str:
    """A pattern for any of these, the first that matches; each begins with a letter or digit, literally.

    Grouped by that, so that most places in a text are done with at one comparison for each group.
    """
    groups: dict[str, list[str]] = {}
    for one in patterns:
        groups.setdefault(one[0], []).append(one[1:])
    return "|".join(f"{first}(?:{'|'.join(rest)})" for first, rest in groups.items())


def _form(name: str, hints: str, pattern: str, check: Check = _always, whole: bool = False, before: int = 0) -> Form:
    return Form(name, tuple(hints.split("|")), pattern, check, whole, before)


_OPEN, _NEXT = r"\\{0,3}[\"'`]?", r"\s{0,3}(?:=>|:=|==?|[:：])\s{0,3}"
_BARE = r"[^\s\"'`,;<>{}\\&|\u200b]"
_IS = (
    r"(?:is|was|are|ist|lautet|war|es|est|é|è|jest|är)\s{1,3}"
    r"(?:now|still|just|currently|jetzt|noch|ahora|maintenant)?\s{0,2}:?\s{0,2}"
)
# What it is for, between its name and its value: "for the guest wifi", "für das Netz", "del router".
_FOR = (
    r"(?:\s{1,3}(?:for|to|of|on|at|in|für|fürs|vom|von|zum|zu|de|del|du|da|do|pour|para|per|voor)\s{1,3}"
    r"(?:[^\s.!?]{1,20}+\s{1,3}){0,4}?[^\s.!?]{1,20}+)?"
)
# One setting as two: name="apiKey" value="...", {"name": "API_KEY", "value": "..."}.
_VALUE = r"(?:[\s,]{0,4}[\"']?value\\{0,3}[\"']?)?"
_QUOTES = r"\\{0,3}[\"'`“„«]"

_TOKENS = (
    "hf_|npm_|pypi-|dop_v1_|doo_v1_|dor_v1_|shpat_|shpss_|shpca_|shppa_|sq0atp-|sq0csp-|hvs.|hvb.|hvr.|lin_api_|ntn_|gsk_|"
    "tvly-|xai-|pplx-|r8_|tskey-|dckr_pat_|ATATT3|sntryu_|sntrys_|figd_|glc_|glsa_|PMAK-|rubygems_|nvapi-|secret_|EAA|"
    "pul-|ctp_|sbp_"
)
# These begin where a word begins, and are themselves a long run of characters.
TOKENS: tuple[Form, ...] = (
    _form("private key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[A-Z0-9]{58}\b", whole=True),
    _form("AWS access key", "AKIA|ASIA|ABIA|ACCA", r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b", whole=True),
    _form("GitHub token", "ghp_|gho_|ghu_|ghs_|ghr_", r"gh[pousr]_[A-Za-z0-9]{36}", whole=True),
    _form("GitHub token", "github_pat_", r"github_pat_\w{22,255}"),
    _form("GitLab token", "glpat-|gldt-|glrt-|glptt-|glsoat-|glcbt-", r"gl[a-z]{2,5}-[\w.-]{20,100}"),
    _form(
        "Slack token", "xoxa-|xoxb-|xoxc-|xoxd-|xoxe-|xoxe.|xoxo-|xoxp-|xoxr-|xoxs-|xapp-",
        r"(?:xox[a-z]|xapp)[.-][\w.-]{10,250}", _key,
    ),
    _form("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/services/(?P<secret>T\w{5,20}/B\w{5,20}/\w{15,40})"),
    _form(
        "Discord webhook", "discord.com|discordapp.com",
        r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d{15,21}/[\w-]{40,90})",
    ),
    _form("Stripe key", "sk_live_|sk_test_|rk_live_|rk_test_", r"[sr]k_(?:live|test)_[0-9A-Za-z]{16,250}"),
    _form("webhook secret", "whsec_", r"whsec_[A-Za-z0-9+/=]{24,100}"),
    _form("API key", "sk-", r"sk-[\w-]{20,400}", _api_key),
    _form("Google API key", "AIza", r"AIza[\w-]{35}", whole=True),
    _form("Google token", "ya29.|GOCSPX-|1//0", r"(?:ya29\.|GOCSPX-|1//0)[\w-]{20,250}"),
    _form("JSON web token", "eyJ", r"eyJ[\w-]{8,4000}+\.[\w-]{8,8000}+(?:\.[\w-]{0,2000})?"),
    _form("SendGrid key", "SG.", r"SG\.[\w-]{16,32}\.[\w-]{16,64}"),
    _form("Twilio key", "SK", r"SK[0-9a-f]{32}\b", whole=True),
    _form("Mailgun key", "key-", r"key-[0-9a-f]{32}\b", whole=True),
    _form("Databricks token", "dapi", r"dapi[0-9a-f]{32}\b", whole=True),
    _form("access token", _TOKENS, rf"(?:{_TOKENS.replace('.', '[.]')})[A-Za-z0-9_=-]{{20,400}}", _key),
    _form("storage key", "AccountKey", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{40,120}={0,2})"),
    _form(
        "bearer token", "Bearer|bearer|BEARER",
        r"(?i)bearer\s{1,3}(?P<secret>[A-Za-z0-9._~+/=-]{16,4000})", _strong,
    ),
    _form(
        "password", "Authorization|authorization|AUTHORIZATION",
        r"(?i)authorization\W{1,6}basic\s{1,3}(?P<secret>[A-Za-z0-9+/=]{8,400})",
    ),
)  # fmt: skip
# These begin where a word begins, and are words, with a secret after them.
SPOKEN: tuple[Form, ...] = (
    _form(
        "password", "curl|wget|http",
        r"(?:curl|wget|https?)[ \t][^\n|]{0,300}?(?:-u|--user|--proxy-user|-a)[ =]?[\"']?[^\s:\"']{1,60}:"
        r"(?P<secret>[^\s\"']{4,100})", _given,
    ),
    _form(
        "password",
        "mysql|mysqldump|mysqladmin|mariadb|sshpass|mongosh|mongo|docker|podman|helm|redis-cli|7z|ldapsearch",
        r"[\w-]{2,10}[ \t](?:[^\n|]{0,300}?[ \t])??-[paw][ =]?[\"']?(?P<secret>[^\s\"':]{6,100})(?![:/])", _given,
    ),
    _form("password", "login", r"login\s{1,9}\S{1,80}\s{1,9}password\s{1,9}(?P<secret>\S{4,100})"),
    _form(
        "PIN", "PIN|Pin|pin",
        r"(?:PIN|[Pp]in)(?:[ -]?(?:[Cc]ode|[Nn]umber|[Nn]ummer))?" + _FOR + r"\s{0,2}(?:\s" + _IS + r"|[:=])\s{0,2}"
        r"(?P<secret>\d{4,8})\b(?![.,]\d)",
    ),
    _form("PIN", "PIN", r"PIN\s(?P<secret>\d{4,8})\b(?![.,]\d)"),
    _form("card code", "CVV|CVC|CSC", r"(?:CVV|CVC|CSC)2?\W{1,3}(?:is\s)?(?P<secret>\d{3,4})\b"),
    _form(
        "recovery phrase", "seed|Seed|recovery|Recovery|mnemonic|Mnemonic",
        r"\w{4,8}\s(?:phrase|words)\W{1,4}(?:is\W{1,3}|are\W{1,3})?"
        r"(?P<secret>(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})",
    ),
)  # fmt: skip
# These stand wherever their hint stands, also inside of a word.
INSIDE: tuple[Form, ...] = (
    _form(
        "private key", "-----BEGIN ",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}-----(?:"
        r"[^-]{0,20000}+(?:-(?!----)[^-]{0,20000}+){0,100}+-----END [A-Z0-9 ]{0,40}-----"
        r"|(?:(?:\\[rn]|\s){1,6}+[A-Za-z0-9+/=]{16,100}+){1,400})",
    ),
    _form("Telegram token", ":AA", r"(?<=\d{8}):(?P<secret>AA[\w-]{33})(?![\w-])"),
    _form("Mailchimp key", "-us", r"(?<=[0-9a-f]{32})-us\d{1,2}\b", before=32),
    _form(
        "password", "://", r"://[^\s:/@\"'<>]{0,80}:(?P<secret>[^\s/@\"'<>]{3,200})@",
        lambda one: not PLACEHOLDER.match(one),
    ),
    _form("password", "--pass", r"--pass(?:word|wd)?[= ][\"']?(?P<secret>[^\s\"']{4,100})", _passwordlike),
    _form(
        "password", '"auth|_auth|_password',
        r"[\"_](?:auth|password)\\{0,3}[\"']?\s{0,3}[:=]\s{0,3}\\{0,3}[\"']?(?P<secret>[A-Za-z0-9+/]{12,400}={0,2})",
        _strong,
    ),
)  # fmt: skip

PASSWORD_NAMES = (
    "password", "pass word", "passwd", "passphrase", "passcode", "pass code", "pwd", "passwort", "kennwort",
    "contraseña", "contrasena", "mot de passe", "senha", "palavra-passe", "wachtwoord", "lösenord", "hasło",
    "parola", "пароль",
)  # fmt: skip
_KINDS_OF_KEY = (
    "api", "access", "secret", "private", "auth", "account", "encryption", "signing", "license",
    "subscription", "service",
)  # fmt: skip
# The names, in lower case. Those of keys end like KEY_ENDINGS, and no other does.
NAMES = re.compile(
    either(
        [*PASSWORD_NAMES, r"p(?<!\wp)w\b", r"secret(?:[ _-]?(?:access[ _-]?)?key)?(?:_base)?", "token", "credentials?"]
        + [f"{kind}[ _-]?keys?" for kind in _KINDS_OF_KEY]
    )
)
KEY_ENDINGS = ("key", "keys", "secret", "_base", "token", "credential", "credentials")
# By whether the name is one of a key.
TAILS: dict[bool, tuple[Tail, ...]] = {
    False: (
        Tail(
            rf"(?i)[\w-]{{0,12}}{_OPEN}\]?{_VALUE}{_NEXT}"
            rf"(?:{_QUOTES}(?P<worded>[^\"'`”“»\n\\]{{4,120}})|(?P<bare>{_BARE}{{4,120}}))",
            {"worded": _worded, "bare": _passwordlike},
        ),
        Tail(r"(?m)\s{0,2}[:=]\s{0,3}(?P<worded>[^\W\d_]{6,60})[ \t.]{0,3}$", {"worded": _worded}),
        Tail(
            rf"(?i){_FOR}\s{{1,3}}{_IS}"
            r"(?:[\"'`“„«](?P<worded>[^\"'`”“»\n]{4,120})[\"'`”“»]|(?P<bare>[^\s\"'`“„«]{4,80}))",
            {"worded": _worded, "bare": _passwordlike},
        ),
        Tail(r"[\w-]{0,12}>(?P<worded>[^<\s]{4,120})</", {"worded": _worded}),
    ),
    True: (
        Tail(
            rf"(?i){_OPEN}\]?{_VALUE}{_NEXT}"
            rf"(?:{_QUOTES}(?P<quoted>[^\s\"'`\\]{{8,400}})|(?P<bare>{_BARE}{{8,400}}))",
            {"quoted": _mixed, "bare": _strong},
        ),
        Tail(rf"(?i){_FOR}\s{{1,3}}{_IS}{_OPEN}(?P<bare>{_BARE}{{12,400}})", {"bare": _strong}),
        Tail(rf"\s{{1,2}}{_OPEN}(?P<random>[A-Za-z0-9][\w.~+=-]{{19,400}})", {"random": _random}),
        Tail(rf"\s{{1,2}}{_OPEN}(?P<bare>[A-Za-z0-9+/]{{40}})(?![\w+/=])", {"bare": _chance}),  # AWS: secret keys
        Tail(r">(?P<quoted>[^<\s]{8,400})</", {"quoted": _mixed}),
    ),
}
# A text without any of these (in lower case) holds no secret but a key or a number, and those have digits.
HINTS = (
    "pass", "pw", "wort", "contrase", "senha", "wachtwoord", "parola", "phrase", " words", "-----begin",
)  # fmt: skip
FOREIGN_HINTS = ("lösenord", "hasło", "пароль")  # in texts that are not plain ASCII
# One with digits and without any of these, a long run of characters or a card number has no key or number, either.
HINTS_WITH_DIGITS = ("key", "secret", "token", "credential", "pin", "cvv", "cvc", "csc", " -")
LONG_RUN = 16  # characters; the shortest secret that needs no name has more
# Visa, Mastercard, Discover and UnionPay have 16 digits, American Express 15, Diners 14; in groups as they are printed.
CARD = re.compile(
    r"""(?<![\w.,/=\#+-])(?:
      (?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6(?:011|4[4-9]\d|5\d\d|2\d\d))(?P<gap>[ -]?)\d{4}(?P=gap)\d{4}(?P=gap)\d{4}
      | 3[47]\d\d[ -]?\d{6}[ -]?\d{5} | 3(?:0[0-5]|[68]\d)\d[ -]\d{6}[ -]\d{4} )(?![\w=]|[-/]\d|\.\d)""",
    re.VERBOSE,
)
