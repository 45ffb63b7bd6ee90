"""What a tool may be declared as, and where the values in its address can get to: nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.fetch import Fetcher, FetchError
from rag.tools import Parameter, Tool, ToolUnusable, ValueUnusable, host_of

HOSTS = frozenset({"api.example.com", "intranet:8080"})
ANY = Parameter("anything")
MAYBE = Parameter("anything", required=False)


def tool(url: str, hosts: frozenset[str] = HOSTS, **more: Any) -> Tool:
    return Tool("status", "how things are", url, hosts, **more)


@pytest.mark.parametrize(
    ("url", "parameters", "says"),
    [
        ("https://{host}.example.com/", {"host": ANY}, "fixed text"),
        ("{scheme}://api.example.com/", {"scheme": ANY}, "fixed text"),
        ("https://api.example.com{path}", {"path": ANY}, "fixed text"),
        ("https://api.example.com/a#{x}", {"x": ANY}, "fixed text"),
        ("https://api.example.com:{port}/", {"port": ANY}, "fixed text"),
        ("https://api.example.com\\@evil.example/", {}, "fixed text"),
        ("https://me:pw@api.example.com/", {}, "user name"),
        ("http://api.example.com/", {}, "https"),
        ("https://evil.example/{x}", {"x": ANY}, "list of hosts"),
        ("https://api.example.com.evil.example/", {}, "list of hosts"),
        ("https://api.example.com:8443/", {}, "list of hosts"),
        ("https://api.example.com/{x}", {}, "differ"),
        ("https://api.example.com/", {"x": ANY}, "differ"),
        ("https://api.example.com/{x", {}, "brace"),
        ("https://api.example.com/?{x}=1", {"x": ANY}, "behind the ="),
        ("https://api.example.com/?{x}", {"x": ANY}, "behind the ="),
        ("https://api.example.com/{x}", {"x": MAYBE}, "required"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(
    url: str, parameters: Mapping[str, Parameter], says: str
) -> None:
    with pytest.raises(ToolUnusable, match=says):
        tool(url, parameters=parameters)


@pytest.mark.parametrize("name", ["Host", "content-length", "X Y", "X:Y", ""])
def test_a_header_that_is_not_a_tools_to_set_is_refused(name: str) -> None:
    with pytest.raises(ToolUnusable, match="header"):
        tool("https://api.example.com/", headers={name: "x"})
    with pytest.raises(ToolUnusable, match="header X-Key") as caught:
        tool("https://api.example.com/", headers={"X-Key": "s3cret\r\nHost: evil.example"})
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(tool("https://api.example.com/", headers={"X-Key": "s3cret"}))


def test_a_private_tool_may_be_http_and_asks_no_other_host() -> None:
    private = tool("http://intranet:8080/a", private=True)
    assert private.own == {"http://intranet:8080"}
    with pytest.raises(ToolUnusable, match="https"):
        tool("http://intranet:8080/a")


@pytest.mark.parametrize("text", ["https://x.org", "x.org/a", "x.org?a", "x.org#a", "", "me@x.org"])
def test_a_host_is_a_host_alone(text: str) -> None:
    assert host_of("API.example.com:443") == "api.example.com"
    with pytest.raises(ToolUnusable, match="host"):
        host_of(text)


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({"a": "x", "b": "y"}, "/api/x.json?b=y&fixed=1"),
        ({"a": "x", "b": None}, "/api/x.json?fixed=1"),
        ({"a": "邮件", "b": "a b&c=d#e?f/../g"},
         "/api/%E9%82%AE%E4%BB%B6.json?b=a%20b%26c%3Dd%23e%3Ff%2F..%2Fg&fixed=1"),
        ({"a": "..", "b": "@evil.example"}, "/api/...json?b=%40evil.example&fixed=1"),
        ({"a": "@evil.example", "b": "+"}, "/api/%40evil.example.json?b=%2B&fixed=1"),
    ],
)  # fmt: skip
def test_values_are_encoded_in_their_places(values: dict[str, str], address: str) -> None:
    url = "https://api.example.com/api/{a}.json?b={b}&fixed=1"
    made = tool(url, parameters={"a": ANY, "b": MAYBE})
    assert made.address(values) == f"https://api.example.com{address}"


@pytest.mark.parametrize(
    "value",
    ["..", ".", "../admin", "a/b", "..\\a", "%2e%2e", "a\nb", "a\r\nX: y", "a\x00", "", " "],
)
def test_a_value_that_would_lead_elsewhere_is_refused(value: str) -> None:
    made = tool("https://api.example.com/api/{a}/state", parameters={"a": ANY})
    with pytest.raises(ValueUnusable) as caught:
        made.address({"a": value})
    assert caught.value.parameter == "a"


@given(path=st.text(max_size=30), query=st.text(max_size=30))
def test_whatever_the_values_say_host_path_and_keys_stay(path: str, query: str) -> None:
    url = "https://api.example.com/api/{a}/state?q={b}&fixed=1"
    made = tool(url, parameters={"a": ANY, "b": MAYBE})
    try:
        address = httpx.URL(made.address({"a": path, "b": query}))
    except ValueUnusable:
        return
    assert (address.scheme, address.netloc, address.fragment) == ("https", b"api.example.com", "")
    sent, _, rest = address.raw_path.decode().partition("?")
    before, _, after = sent.removeprefix("/api/").partition("/")
    assert sent.startswith("/api/")
    assert before not in ("", ".", "..")
    assert after == "state"
    pairs = dict(parse_qsl(rest, keep_blank_values=True))
    assert pairs == {**({"q": query.strip()} if query.strip() else {}), "fixed": "1"}


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        (Parameter("x", choices=("billing", "wiki")), "wiki", "admin"),
        (Parameter("x", pattern="[A-Z]{2}-[0-9]+"), "AB-12", "AB-12; DROP"),
        (Parameter("x", "integer"), 12, None),
        (Parameter("x"), "x" * 200, "x" * 201),
    ],
)
def test_a_value_is_what_its_parameter_may_be(parameter: Parameter, good: Any, bad: Any) -> None:
    made = tool("https://api.example.com/{x}", parameters={"x": parameter})
    assert made.address({"x": good}) == f"https://api.example.com/{good}"
    with pytest.raises(ValueUnusable):
        made.address({"x": bad})


@pytest.mark.parametrize(
    ("answers", "location", "trouble"),
    [
        ([["10.0.0.7"]], "", "private"),
        ([["93.184.216.34", "10.0.0.7"]], "", "private"),
        ([["::ffff:169.254.169.254"]], "", "private"),
        ([["93.184.216.34"], ["10.0.0.7"]], "/again", "private"),
        ([["93.184.216.34"]], "https://intranet:8080/", "private"),
        ([["93.184.216.34"]], "https://10.0.0.7/", "elsewhere"),
        ([["93.184.216.34"]], "https://evil.example/", "elsewhere"),
        ([["93.184.216.34"]], "http://api.example.com/", "address"),
    ],
)
async def test_a_public_tool_leads_nowhere_inside_and_to_no_other_host(
    tmp_path: Path, answers: list[list[str]], location: str, trouble: str
) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        if host == "intranet":
            return ["10.0.0.8"]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def redirect(asked: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": location})

    made = tool("https://api.example.com/")
    fetcher = Fetcher(resolve=resolve, transport=lambda: httpx.MockTransport(redirect))
    with pytest.raises(FetchError) as caught:
        await fetcher.fetch(
            made.address({}), tmp_path / "f", 10, own=made.own, origins=made.origins
        )
    assert caught.value.trouble == trouble
