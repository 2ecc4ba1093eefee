"""One page from the web: where it may come from, how much of it, and how long it may take."""

import gzip
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.web_server import BareServer, Page, WebServer
from tools import download
from tools.download import Answer, get

WORDS = "Some words that stand on this page. "


def here(address: str) -> bool:
    """Takes 127.0.0.1 for public, and nothing else."""
    return address == "127.0.0.1"


def fetched(url: str, timeout_s: float = 20.0) -> Answer:
    return get(url, here, lambda _kind: True, timeout_s=timeout_s)


class Names:
    """A resolver that knows a few hosts and keeps what it was asked."""

    def __init__(self, **known: Sequence[str]) -> None:
        self._known = known
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._known[host.partition(".")[0]]


# --- what it may ask for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must begin with http"),
        ("example.org/page", "must begin with http"),
        ("file:///etc/passwd", "must begin with http"),
        ("ftp://example.org/", "must begin with http"),
        ("http://", "must begin with http"),
        ("http:///page", "must begin with http"),
        ("http://user:secret@example.org/", "user name or password"),
        ("http://@example.org/", "user name or password"),
        ("http://example.org\\@10.0.0.1/", "backslashes"),
        ("http://exam ple.org/", "blanks"),
        ("http://example.org/a\r\nHost: evil", "blanks"),
        ("http://example.org/\0", "control characters"),
        ("http://example.org:22/", "port 22"),
        ("http://example.org:25/", "port 25"),
        ("http://example.org:99999/", "[Pp]ort"),
        ("http://example.org:x/", "[Pp]ort"),
        ("http://[::1/", "IPv6"),
        ("http://[fe80::1%25eth0]/", "host|IPv6"),
        ("http://ex%61mple.org/", "not one that can exist"),
        ("http://exa_mple..org;/", "not one that can exist"),
        (f"http://{'ü' * 80}.example/", "not one that can exist"),
        ("http://example.org/" + "a" * 3000, "characters"),
    ],
)
def test_what_is_no_page_of_the_web_is_refused_before_anything_is_looked_up(url: str, words: str) -> None:
    names = Names()
    with pytest.raises(ValueError, match=words):
        get(url, here, lambda _kind: True, names)
    assert names.asked == []


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "１２７.0.0.1", "[::1]"])
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match=r"no public address|no host"):
        get(f"http://{host}:8000/", lambda _address: False, lambda _kind: True)


def test_a_name_in_any_script_is_looked_up_in_ascii(web: WebServer) -> None:
    web.pages["/gr%C3%BC%C3%9Fe"] = Page("hello")
    names = Names(**{"xn--bcher-kva": ["127.0.0.1"]})
    answer = get(f"http://Bücher.example.:{web.port}/grüße?q=ä&b=[1]", here, lambda _kind: True, names)
    assert answer.body == b"hello"
    assert names.asked == ["xn--bcher-kva.example"]
    assert web.requests[0].path == "/gr%C3%BC%C3%9Fe?q=%C3%A4&b=[1]"
    assert web.requests[0].headers["host"] == f"xn--bcher-kva.example:{web.port}"
    assert answer.url == f"http://xn--bcher-kva.example:{web.port}/gr%C3%BC%C3%9Fe?q=%C3%A4&b=[1]"


# --- where it may come from -----------------------------------------------------------------------------------------


def test_the_connection_goes_to_the_address_that_was_checked(web: WebServer) -> None:
    """The name is looked up once: a second answer, to a private address, would never be heard."""
    web.pages["/"] = Page("hello")
    names = Names(rebinding=["127.0.0.1"])
    answer = get(f"http://rebinding.invalid:{web.port}/", here, lambda _kind: True, names)
    assert (answer.body, names.asked) == (b"hello", ["rebinding.invalid"])


def test_a_host_at_a_private_address_is_refused() -> None:
    with pytest.raises(ValueError, match=r"inner\.example lies at 10\.0\.0\.5, which is no public address"):
        get("http://inner.example/", here, lambda _kind: True, Names(inner=["10.0.0.5"]))


def test_of_several_addresses_only_the_permitted_ones_are_tried(web: WebServer) -> None:
    web.pages["/"] = Page("hello")
    names = Names(mixed=["10.0.0.5", "127.0.0.1"])
    assert get(f"http://mixed.example:{web.port}/", here, lambda _kind: True, names).body == b"hello"


def test_an_address_that_takes_no_connection_is_passed_over(web: WebServer) -> None:
    web.pages["/"] = Page("hello")
    names = Names(two=["127.0.0.9", "127.0.0.1"])  # nobody listens at the first one
    answer = get(f"http://two.example:{web.port}/", lambda _address: True, lambda _kind: True, names)
    assert answer.body == b"hello"


@pytest.mark.parametrize("target", ["http://127.0.0.2:{port}/", "http://localhost.example:{port}/", "//inner.example/"])
def test_each_redirect_is_checked_anew(web: WebServer, target: str) -> None:
    web.pages["/"] = Page(status=302, headers={"Location": target.format(port=web.port)})
    known = {"start": ["127.0.0.1"], "127": ["127.0.0.2"], "localhost": ["::1"], "inner": ["192.168.0.1"]}
    with pytest.raises(ValueError, match="no public address"):
        get(f"http://start.example:{web.port}/", here, lambda _kind: True, Names(**known))
    assert len(web.requests) == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://u:p@127.0.0.1/", "gopher://127.0.0.1/", "http://["])
def test_a_redirect_leads_to_pages_of_the_web_only(web: WebServer, target: str) -> None:
    web.pages["/"] = Page(status=301, headers={"Location": target})
    with pytest.raises(ValueError, match=r"begin with http|user name|IPv6"):
        fetched(web.url)


def test_redirects_are_followed_to_the_page(web: WebServer) -> None:
    web.pages["/a"] = Page(status=302, headers={"Location": "sub/b?x=1#part"})
    web.pages["/sub/b"] = Page(status=308, headers={"Location": "/c/sch\u00c3\u00b6n"})  # UTF-8, against the rules
    web.pages["/c/sch%C3%B6n"] = Page("there")
    answer = fetched(f"{web.url}/a")
    assert (answer.body, answer.url) == (b"there", f"{web.url}/c/sch%C3%B6n")


def test_redirects_come_to_an_end(web: WebServer) -> None:
    web.pages["/"] = Page(status=302, headers={"Location": "/"})
    with pytest.raises(ValueError, match="more than 5 redirects"):
        fetched(web.url)
    assert len(web.requests) == 6


def test_a_proxy_of_the_environment_is_not_used(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    web.pages["/"] = Page("hello")
    assert fetched(web.url).body == b"hello"


def test_no_cookie_or_password_goes_along(web: WebServer) -> None:
    web.pages["/"] = Page("x", headers={"Set-Cookie": "id=1"})
    fetched(web.url)
    fetched(web.url)
    assert not {"cookie", "authorization", "referer"} & set(web.requests[1].headers)


def test_a_certificate_must_be_known_and_be_the_hosts(
    web: WebServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web.secure(tmp_path / "page.test.pem")
    web.pages["/"] = Page("hello")
    names = Names(page=["127.0.0.1"], other=["127.0.0.1"])

    def body(host: str) -> bytes:
        return get(f"https://{host}:{web.port}/", here, lambda _kind: True, names).body

    with pytest.raises(ValueError, match="not secure: self-signed certificate"):
        body("page.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "page.test.pem"))
    assert body("page.test") == b"hello"
    with pytest.raises(ValueError, match="not secure: Hostname mismatch"):
        body("other.test")


# --- how much, how long ---------------------------------------------------------------------------------------------


def test_a_packed_page_is_unpacked(web: WebServer) -> None:
    web.pages["/"] = Page(gzip.compress(WORDS.encode() * 10_000), headers={"Content-Encoding": "gzip"})
    answer = fetched(web.url)
    assert (answer.body, answer.cut) == (WORDS.encode() * 10_000, "")


def test_a_bomb_goes_off_within_the_limit(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1_000_000)
    web.pages["/"] = Page(gzip.compress(b"\0" * 50_000_000), headers={"Content-Encoding": "gzip"})
    answer = fetched(web.url)
    assert len(answer.body) == 1_000_000
    assert "longer than" in answer.cut


def test_what_unpacks_to_nothing_ends_too(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1_000_000)
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(b"") + packer.flush(zlib.Z_SYNC_FLUSH)

    def empty_blocks() -> Iterator[bytes]:
        yield head
        while True:
            yield b"\0\0\0\xff\xff" * 10_000  # stored blocks of no bytes

    web.pages["/"] = Page(headers={"Content-Encoding": "gzip"}, raw=empty_blocks)
    with pytest.raises(ValueError, match="nothing of the page could be read"):
        fetched(web.url)


def test_an_endless_page_is_cut(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1_000_000)
    web.pages["/"] = Page(raw=lambda: iter(lambda: b"again " * 1000, b""))
    answer = fetched(web.url)
    assert len(answer.body) == 1_000_000
    assert answer.cut.startswith("it is longer than")


def test_a_slow_page_gives_what_came_in_time(web: WebServer) -> None:
    def drip() -> Iterator[bytes]:
        while True:
            yield b"drop "
            time.sleep(0.05)

    web.pages["/"] = Page(raw=drip)
    answer = fetched(web.url, timeout_s=0.5)
    assert answer.body.startswith(b"drop drop")
    assert "in time" in answer.cut


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_headers_that_drip_run_out_of_time(beginning: bytes) -> None:
    """A limit for each byte would never be reached."""

    def drip() -> Iterator[bytes]:
        yield beginning
        while True:
            yield b"X-Slow: 1\r\n" if beginning else b" "
            time.sleep(0.05)

    with pytest.raises(ValueError, match=r"did not answer in time; 0\.5 s are the limit"):
        fetched(BareServer(drip).url, timeout_s=0.5)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "broke off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", "LineTooLong"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 1000 + b"\r\n", "HTTPException"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 3\r\n\r\nabc", "packed as 'br'"),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "nothing of the page"),
    ],
)
def test_what_no_server_should_send_is_told(sent: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fetched(BareServer(lambda: iter([sent])).url)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nHalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nHalf\r\n9\r\n",
    ],
)
def test_what_came_before_the_connection_broke_off_is_kept(sent: bytes) -> None:
    answer = fetched(BareServer(lambda: iter([sent])).url)
    assert (answer.body, answer.cut) == (b"Half", "the connection broke off")


def test_a_body_that_is_not_wanted_is_not_read(web: WebServer) -> None:
    web.pages["/"] = Page(kind="video/mp4", headers={"Content-Length": "5000000000"}, raw=lambda: iter([b"\0" * 1000]))
    answer = get(web.url, here, lambda kind: kind != "video/mp4")
    assert (answer.body, answer.size, answer.cut) == (b"", 5_000_000_000, "")


def test_a_host_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match=r"there is no host nowhere\.invalid"):
        fetched("http://nowhere.invalid/")


def test_a_refused_connection_is_told() -> None:
    with pytest.raises(ValueError, match="cannot be reached"):
        fetched("http://127.0.0.1:9999/")
