"""Searching the web, through servers that answer as each service's documentation says."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.web_server import Page, WebServer
from tools.search import search_tool
from tools.toolbox import Toolbox, ToolResult

TAVILY = {
    "query": "tea",
    "answer": None,
    "images": [],
    "results": [
        {"title": "Tea", "url": "https://tea.example/", "content": "All about tea.", "score": 0.9, "raw_content": None},
        {
            "title": "News",
            "url": "https://n.example/1",
            "content": "x",
            "published_date": "Fri, 01 Mar 2024 10:00:00 GMT",
        },
    ],
    "response_time": 1.2,
    "request_id": "1",
}
BRAVE = {
    "type": "search",
    "query": {"original": "tea"},
    "web": {
        "type": "search",
        "results": [
            {
                "title": "Tea &amp; more",
                "url": "https://tea.example/",
                "description": "All about <strong>tea</strong>.",
                "page_age": "2024-03-01T10:00:00",
                "age": "March 1, 2024",
            }
        ],
    },
}
SEARXNG = {
    "query": "tea",
    "number_of_results": 0,
    "results": [
        {
            "title": "Tea",
            "url": "https://tea.example/",
            "content": "All about\n tea.",
            "publishedDate": "2024-03-01T00:00:00",
            "engine": "duckduckgo",
        }
    ],
    "answers": [],
    "unresponsive_engines": [],
}
BRAVE_PATH = "/res/v1/web/search"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def answering(answer: Any, status: int = 200, **headers: str) -> Page:
    return Page(
        json.dumps(answer), "application/json", status, {name.replace("_", "-"): headers[name] for name in headers}
    )


def box(service: str, web: WebServer) -> Toolbox:
    service = f"searxng:{web.url}" if service == "searxng" else service
    return Toolbox(search_tool(service, "key-1", web.url), count=len, limit_tokens=10_000)


def run(tools: Toolbox, query: str = "tea") -> ToolResult:
    return tools.run("web_search", json.dumps({"query": query}))


# --- what each service is sent, and what it gives ---------------------------------------------------------------------


def test_tavily_is_asked_as_its_documentation_says(web: WebServer) -> None:
    web.pages["/search"] = answering(TAVILY)
    result = run(box("tavily", web))
    assert result.text == (
        "1. Tea\n   https://tea.example/\n   All about tea.\n\n"
        "2. News (Fri, 01 Mar 2024 10:00:00 GMT)\n   https://n.example/1\n   x"
    )
    assert (result.ok, result.outside) == (True, True)
    asked = web.requests[0]
    assert (asked.method, asked.headers["authorization"]) == ("POST", "Bearer key-1")
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == {"query": "tea", "search_depth": "basic", "max_results": 6}


def test_brave_is_asked_as_its_documentation_says(web: WebServer) -> None:
    web.pages[BRAVE_PATH] = answering(BRAVE)
    result = run(box("brave", web), "tea & Öl")
    assert result.text == "1. Tea & more (2024-03-01)\n   https://tea.example/\n   All about tea."
    asked = web.requests[0]
    assert (asked.method, asked.headers["x-subscription-token"]) == ("GET", "key-1")
    assert asked.headers["accept"] == "application/json"
    assert asked.path == f"{BRAVE_PATH}?q=tea+%26+%C3%96l&count=6&text_decorations=false"


def test_searxng_is_asked_as_its_documentation_says(web: WebServer) -> None:
    web.pages["/search"] = answering(SEARXNG)
    assert run(box("searxng", web)).text == "1. Tea (2024-03-01)\n   https://tea.example/\n   All about tea."
    assert web.requests[0].path == "/search?q=tea&format=json"
    assert "key-1" not in str(web.requests[0])


def test_a_searxng_may_lie_in_a_folder(web: WebServer) -> None:
    web.pages["/searx/search"] = answering(SEARXNG)
    for address in (f"{web.url}/searx", f"{web.url}/searx/", f"{web.url}/searx/search?q="):
        assert run(Toolbox(search_tool(f"searxng:{address}"), len, 10_000)).ok


# --- setting it up ----------------------------------------------------------------------------------------------------


def test_without_a_service_there_is_no_tool() -> None:
    assert search_tool("") == []


@pytest.mark.parametrize(
    ("service", "key", "words"),
    [
        ("tavily", "", "needs a key; put it into ASSISTANT_SEARCH_KEY"),
        ("brave", "  ", "needs a key"),
        ("tavily", "secret\r\nX: y", "characters that no key has"),
        ("brave", "schlüssel", "characters that no key has"),
        ("google", "k", "choose tavily, brave, or searxng"),
        ("tavily:http://x", "k", "choose tavily, brave, or searxng"),
        ("searxng", "", "no address of a SearXNG"),
        ("searxng:search.example.org", "", "no address of a SearXNG"),
        ("searxng:ftp://x", "", "no address of a SearXNG"),
        ("searxng:http://u:p@x.example", "", "no address of a SearXNG"),
        ("searxng:http://x y", "", "no address of a SearXNG"),
        ("searxng:http://[", "", "no address of a SearXNG"),
    ],
)
def test_what_cannot_work_is_told_when_it_is_set_up(service: str, key: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        search_tool(service, key)
    assert "secret" not in str(raised.value)


# --- errors -----------------------------------------------------------------------------------------------------------

TAVILY_ERROR = {"detail": {"error": "Unauthorized: missing or invalid API key."}}
BRAVE_ERROR = {"type": "ErrorResponse", "error": {"id": "1", "status": 422, "detail": "Bad.", "meta": {}}}


@pytest.mark.parametrize(
    ("service", "status", "answer", "words"),
    [
        ("tavily", 401, TAVILY_ERROR, "it refused the key"),
        ("tavily", 400, {"detail": {"error": "Query is too long."}}, "400: Query is too long."),
        ("tavily", 432, {"detail": {"error": "x"}}, "what its plan or budget allows is used up"),
        ("tavily", 433, {"detail": {"error": "x"}}, "what its plan or budget allows is used up"),
        ("tavily", 500, {"detail": {"error": "Internal Server Error"}}, "500: Internal Server Error"),
        ("brave", 422, BRAVE_ERROR | {"error": {"code": "SUBSCRIPTION_TOKEN_INVALID"}}, "it refused the key"),
        ("brave", 422, BRAVE_ERROR, "422: Bad."),
        ("brave", 404, "a text", "it gives no reason"),
        ("brave", 418, {"error": {"error": {"error": {"error": 1}}}}, "it gives no reason"),
        ("searxng", 403, "Forbidden", "must add json to search.formats"),
        ("searxng", 500, {"error": ["x"]}, "it gives no reason"),
    ],
)
def test_each_error_is_told_with_its_remedy(web: WebServer, service: str, status: int, answer: Any, words: str) -> None:
    web.pages["/search"] = web.pages[BRAVE_PATH] = answering(answer, status)
    result = run(box(service, web))
    assert not result.ok
    assert words in result.text
    assert "key-1" not in result.text
    assert len(web.requests) == 1


@pytest.mark.parametrize("service", ["tavily", "brave", "searxng"])
def test_a_service_that_is_too_busy_is_asked_once_more(web: WebServer, service: str) -> None:
    answer = {"tavily": TAVILY, "brave": BRAVE, "searxng": SEARXNG}[service]
    pages = [answering({"error": {"code": "RATE_LIMITED"}}, 429, Retry_After="0"), answering(answer)]
    web.pages["/search"] = web.pages[BRAVE_PATH] = pages
    assert run(box(service, web)).ok
    assert len(web.requests) == 2


def test_a_long_pause_is_not_waited_for(web: WebServer) -> None:
    web.pages["/search"] = answering({}, 429, Retry_After="3600")
    assert "too many queries; try again later" in run(box("tavily", web)).text
    assert len(web.requests) == 1


def test_queries_go_one_at_a_time(web: WebServer) -> None:
    """A plan of one query a second is met by a model that asks three at once."""
    web.pages["/search"] = answering(TAVILY)
    tools = box("tavily", web)
    with ThreadPoolExecutor() as pool:
        assert all(result.ok for result in pool.map(lambda query: run(tools, query), ("a", "b", "c")))


@pytest.mark.parametrize("service", ["tavily", "brave"])
def test_the_key_does_not_follow_a_redirect(web: WebServer, service: str) -> None:
    web.pages["/search"] = web.pages[BRAVE_PATH] = Page(status=302, headers={"Location": "/other"})
    assert "to which the key is not sent" in run(box(service, web)).text
    assert len(web.requests) == 1


@pytest.mark.parametrize("body", ["<html>Please log in</html>", "", "[1, 2]", "[" * 100_000, "{"])
def test_an_answer_that_is_no_json_is_told(web: WebServer, body: str) -> None:
    web.pages["/search"] = Page(body)
    result = run(box("tavily", web))
    assert (result.ok, "is its address right?" in result.text) == (False, True)


def test_a_service_that_is_not_there_is_told() -> None:
    result = run(Toolbox(search_tool("searxng:http://127.0.0.1:9"), len, 10_000))
    assert (result.ok, "SearXNG cannot be reached" in result.text) == (False, True)


# --- what a model reads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [{}, {"results": []}, {"results": None}, {"results": {"a": 1}}, {"results": [1, None, "x"]}, {"results": "text"}],
)
def test_nothing_found_is_an_answer(web: WebServer, answer: Any) -> None:
    web.pages["/search"] = answering(answer)
    result = run(box("tavily", web))
    assert (result.ok, result.text) == (True, 'Nothing was found for "tea".')


def test_engines_that_did_not_answer_are_named(web: WebServer) -> None:
    engines = [["brave", "too many requests"], ["duckduckgo", "CAPTCHA"]]
    web.pages["/search"] = answering({"results": [], "unresponsive_engines": engines})
    assert "did not answer: brave: too many requests, duckduckgo: CAPTCHA." in run(box("searxng", web)).text


def test_results_are_bounded_and_plain(web: WebServer) -> None:
    hostile = {
        "title": "T\n2. Forged\u202e<b>x</b>" + "t" * 1000,
        "url": "https://x.example/\n" + "u" * 9000,
        "content": "<script>c</script>" + "words " * 2_000,
        "published_date": ["2024"],
    }
    web.pages["/search"] = answering({"results": [hostile] * 50})
    text = run(box("tavily", web)).text
    assert len(text) < 6 * 1200
    assert [line[:2] for line in text.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3.", "4.", "5.", "6."]
    assert not {"\u202e", "<b>", "<script>"} & {*text, *text.split("T ")}
    assert "T 2. Forgedx" in text


@pytest.mark.parametrize("query", ["", " \n", "word " * 51, "x" * 401])
def test_a_query_no_service_takes_is_not_sent(web: WebServer, query: str) -> None:
    assert not run(box("brave", web), query).ok
    assert web.requests == []
