"""The tool that searches the web, through the service its owner chose: Tavily, Brave, or a SearXNG of their own.

The service is trusted with the query, so proxies of the environment are used, and its address is not checked.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from threading import Lock
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPErrorProcessor, Request, build_opener

from tools.plain import one_line, without_tags
from tools.tool import Tool, tool

TIMEOUT_S = 15.0  # without a word from the service
TOOL_TIMEOUT_S = 45.0  # with one repetition
MAX_BYTES = 2 * 1024 * 1024
RESULTS = 6
SNIPPET_CHARACTERS = 400
TITLE_CHARACTERS = 150
URL_CHARACTERS = 500
CUT_CHARACTERS = 5_000
# Brave takes at most 400 characters and 50 words, and more find nothing anywhere.
QUERY_CHARACTERS = 400
QUERY_WORDS = 50
# Brave's smallest plan takes one query a second, and a model likes to ask several at once.
PAUSE_S = 1.1
LONGEST_PAUSE_S = 5.0

_USER_AGENT = "assistant (searches when its user asks)"
_PASSING = {429, 502, 503, 504}


@dataclass(frozen=True, slots=True)
class _Found:
    """One result. `date` is as the service writes it, "" where it gives none."""

    title: str
    url: str
    date: str
    snippet: str


@dataclass(frozen=True, slots=True)
class _Service:
    """How a service is asked, how its answer is read, and what its errors mean, by status and by its own code."""

    name: str
    request: Callable[[str], Request]
    results: Callable[[Mapping[str, Any]], Iterator[_Found]]
    errors: Mapping[int | str, str]


def search_tool(service: str, key: str = "", base_url: str = "") -> list[Tool]:
    """Return the tool that searches through "tavily", "brave" or "searxng:URL"; none for "".

    `base_url` takes the place of Tavily's or Brave's own address. Raises ValueError, with a remedy, for another
    service, for one that needs a key and has none, and for a key or an address that cannot be one.
    """
    if not service:
        return []
    chosen = _service(service, key.strip(), base_url)
    turn = Lock()  # one query at a time: a service that counts them by the second would refuse the others

    def web_search(query: str) -> str:
        """Search the web. Gives titles, addresses and short excerpts of the best pages; fetch one to read it.

        Args:
            query: A few words, as for any search engine.

        Raises:
            ValueError: The query is refused or the service fails; the message is for the model.
        """
        words = _checked(query)
        with turn:
            answer = _ask(chosen, words)
        return _shown(words, list(chosen.results(answer))[:RESULTS], answer)

    return [tool(web_search, effects=frozenset({"network"}), timeout_s=TOOL_TIMEOUT_S)]


# --- the services ---------------------------------------------------------------------------------------------------


def _service(chosen: str, key: str, base_url: str) -> _Service:
    name, _, address = chosen.partition(":")
    if name == "searxng":
        return _searxng(_checked_address(address))
    if chosen not in ("tavily", "brave"):
        raise ValueError(f"there is no search service {chosen!r}; choose tavily, brave, or searxng: and its address")
    if not key:
        raise ValueError(f"searching with {chosen} needs a key; put it into ASSISTANT_SEARCH_KEY")
    if not re.fullmatch(r"[!-~]+", key):
        raise ValueError(f"the key of {chosen} has characters that no key has; look at ASSISTANT_SEARCH_KEY")
    return _tavily(key, base_url) if chosen == "tavily" else _brave(key, base_url)


def _checked_address(address: str) -> str:
    try:
        parts = urlsplit(address)
        sound = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        sound = False
    if not sound or not re.fullmatch(r"[!-~]+", address):
        raise ValueError(f"{address!r} is no address of a SearXNG; it is one such as https://search.example.org")
    return address.partition("?")[0].rstrip("/").removesuffix("/search")


def _tavily(key: str, base_url: str) -> _Service:
    address = f"{base_url or 'https://api.tavily.com'}/search"

    def request(query: str) -> Request:
        body = {"query": query, "search_depth": "basic", "max_results": RESULTS}
        return _request(address, {"Authorization": f"Bearer {key}"}, body)

    def results(answer: Mapping[str, Any]) -> Iterator[_Found]:
        for each in _records(answer, "results"):
            yield _found(each, each.get("published_date"), each.get("content"))

    errors: dict[int | str, str] = {401: _KEY, 432: _PLAN, 433: _PLAN, 429: _BUSY}
    return _Service("Tavily", request, results, errors)


def _brave(key: str, base_url: str) -> _Service:
    address = f"{base_url or 'https://api.search.brave.com'}/res/v1/web/search"

    def request(query: str) -> Request:
        asked = {"q": query, "count": RESULTS, "text_decorations": "false"}
        return _request(f"{address}?{urlencode(asked)}", {"X-Subscription-Token": key})

    def results(answer: Mapping[str, Any]) -> Iterator[_Found]:
        for each in _records(answer, "web", "results"):
            yield _found(each, each.get("page_age") or each.get("age"), each.get("description"))

    # A wrong key is a 422 there, as a wrong query is; only the code tells them apart.
    errors: dict[int | str, str] = {
        "SUBSCRIPTION_TOKEN_INVALID": _KEY,
        401: _KEY,
        402: _PLAN,
        "QUOTA_LIMITED": _PLAN,
        429: _BUSY,
    }
    return _Service("Brave", request, results, errors)


def _searxng(address: str) -> _Service:
    def request(query: str) -> Request:
        return _request(f"{address}/search?{urlencode({'q': query, 'format': 'json'})}", {})

    def results(answer: Mapping[str, Any]) -> Iterator[_Found]:
        for each in _records(answer, "results"):
            yield _found(each, each.get("publishedDate"), each.get("content"))

    closed = "it gives no JSON; whoever runs it must add json to search.formats in its settings.yml"
    return _Service("SearXNG", request, results, {403: closed, 429: f"{_BUSY}, or its limiter keeps programs out"})


_KEY = "it refused the key; the user can set another one in ASSISTANT_SEARCH_KEY"
_PLAN = "what its plan or budget allows is used up"
_BUSY = "too many queries; try again later"


def _request(address: str, headers: Mapping[str, str], body: Mapping[str, Any] | None = None) -> Request:
    data = None if body is None else json.dumps(body).encode()
    sent = {"Accept": "application/json", "User-Agent": _USER_AGENT, **headers}
    if data:
        sent["Content-Type"] = "application/json"
    return Request(address, data, sent)  # noqa: S310  the owner's own choice, and only http or https


def _records(answer: Mapping[str, Any], *path: str) -> Iterator[Mapping[str, Any]]:
    """The records of the list at `path`; none where there is no such list, as where nothing was found."""
    found: Any = answer
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    yield from (each for each in (found if isinstance(found, list) else ()) if isinstance(each, Mapping))


def _found(record: Mapping[str, Any], date: object, snippet: object) -> _Found:
    return _Found(_line(record.get("title"), TITLE_CHARACTERS), _url(record), _day(date), _snippet(snippet))


# --- asking ---------------------------------------------------------------------------------------------------------


def _checked(query: str) -> str:
    """The query as one line. Raises ValueError for an empty one and for one that no service takes."""
    words = one_line(query, len(query))
    if not words:
        raise ValueError("the query is empty")
    if len(words) > QUERY_CHARACTERS or len(words.split()) > QUERY_WORDS:
        raise ValueError(f"the query is too long; {QUERY_WORDS} words and {QUERY_CHARACTERS} characters are the limit")
    return words


def _ask(service: _Service, query: str) -> Mapping[str, Any]:
    """The service's answer; asked once more after a pause where the fault may pass. Raises ValueError."""
    status, headers, body = _sent(service, query)
    if status in _PASSING and (pause := _pause(headers)) is not None:
        time.sleep(pause)
        status, headers, body = _sent(service, query)
    answer = _json(body)
    if status != 200:
        raise ValueError(f"{service.name} answered {status}: {_meaning(service, status, answer)}")
    if answer is None:
        raise ValueError(f"{service.name} answered with something other than results; is its address right?")
    return answer


class _AsItIs(HTTPErrorProcessor):
    """Gives every answer back as it came, redirects and errors too."""

    def http_response(self, request: Request, response: Any) -> Any:
        """The answer itself, where urllib would raise or go on to another address."""
        return response

    https_response = http_response


def _sent(service: _Service, query: str) -> tuple[int, Mapping[str, str], bytes]:
    """Status, headers (lower case) and body. Never follows a redirect: the key would go along. Raises ValueError."""
    try:
        with build_opener(_AsItIs).open(service.request(query), timeout=TIMEOUT_S) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, headers, answer.read(MAX_BYTES)
    except HTTPError as error:  # a proxy's refusal
        error.close()
        raise ValueError(f"{service.name} cannot be reached: {error.code}") from error
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        raise ValueError(f"{service.name} cannot be reached: {one_line(said, 200)}") from error


def _pause(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait before asking again; None if that is too long to wait for."""
    said = headers.get("retry-after", "")
    seconds = float(said) if said.isascii() and said.isdigit() else PAUSE_S
    return seconds if seconds <= LONGEST_PAUSE_S else None


def _json(body: bytes) -> Mapping[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, Mapping) else None


def _meaning(service: _Service, status: int, answer: Mapping[str, Any] | None) -> str:
    """What an error is: in our words where it is known, else in the service's own."""
    if 300 <= status < 400:
        return "its address points to another one, to which the key is not sent"
    error = (answer or {}).get("error")
    code = error.get("code") if isinstance(error, Mapping) else None
    known = service.errors.get(code) if isinstance(code, str) else None
    return known or service.errors.get(status) or _said(answer) or "it gives no reason"


def _said(answer: Mapping[str, Any] | None) -> str:
    """The words in an error's body: {"detail": {"error": "..."}}, {"error": {"detail": "..."}} or plainer."""
    found: Any = answer
    for _ in range(3):
        if not isinstance(found, Mapping):
            break
        found = found.get("detail") or found.get("error") or found.get("message")
    return _line(found, 200)


# --- showing --------------------------------------------------------------------------------------------------------


def _shown(query: str, found: list[_Found], answer: Mapping[str, Any]) -> str:
    if not found:
        return f'Nothing was found for "{query}".{_unanswered(answer)}'
    return "\n\n".join(f"{number}. {_entry(each)}" for number, each in enumerate(found, 1))


def _entry(found: _Found) -> str:
    date = f" ({found.date})" if found.date else ""
    lines = (f"{found.title or 'Untitled'}{date}", found.url, found.snippet)
    return "\n   ".join(line for line in lines if line)


def _unanswered(answer: Mapping[str, Any]) -> str:
    """Which of SearXNG's engines did not answer, where none of them found anything."""
    engines = answer.get("unresponsive_engines")
    if not isinstance(engines, list) or not engines:
        return ""
    names = (": ".join(map(str, each)) if isinstance(each, list) else str(each) for each in engines[:10])
    return f" These engines did not answer: {one_line(', '.join(names), 300)}."


def _line(value: object, characters: int) -> str:
    # Cut before it is read: nobody knows how long a field is.
    return one_line(without_tags(value[:CUT_CHARACTERS]), characters) if isinstance(value, str) else ""


def _snippet(value: object) -> str:
    return _line(value, SNIPPET_CHARACTERS)


def _url(record: Mapping[str, Any]) -> str:
    address = record.get("url")
    return one_line(address, URL_CHARACTERS) if isinstance(address, str) else ""


def _day(value: object) -> str:
    """A date without its time of day: "2024-03-01T10:00:00" and "3 days ago" are both met."""
    return re.sub(r"^(\d{4}-\d\d-\d\d)T.*", r"\1", _line(value, 40))
