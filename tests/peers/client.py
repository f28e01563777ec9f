"""Drives a server through the public API of the Python SDK's client, one line per feature.

    client.py --era modern|legacy --url URL [--log FILE]...
    client.py --era modern|legacy --stdio COMMAND [ARGUMENT]...

The server offers the tools, prompts and resources of the conformance fixture, in pages smaller than its list of
tools, and writes `cancelled NAME` to stderr when it sees a call cancelled; `--log` names the files that hold it.
Prints `ok NAME`, `FAIL NAME: reason` or `n/a NAME: why` per feature; exits 1 when one failed, 2 on misuse.
"""

import argparse
import base64
import json
import sys
import tempfile
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from check import FEATURE_LIMIT, REQUEST_LIMIT, REVISIONS, NotApplicable, check, expect, fill, reason, text, until


class Peer:
    """One connection's features, and what was seen while they ran."""

    client: Client

    def __init__(self, era: str, over_http: bool, logs: "list[Path]") -> None:
        self.modern = era == "modern"
        self.revision = REVISIONS[era]
        self.over_http = over_http
        self.logs = logs
        self.get_streams = 0
        self.tools_changed = 0
        self.elicitations: list[types.ElicitRequestFormParams] = []
        self.samplings: list[types.CreateMessageRequestParams] = []

    def features(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Every feature by its name, in the order in which they run."""
        return {
            "connect": self.connect,
            "list": self.list,
            "call": self.call,
            "structured": self.structured,
            "progress": self.progress,
            "cancel": self.cancel,
            "elicitation": self.elicitation,
            "sampling": self.sampling,
            "rounds": self.rounds,
            "pagination": self.pagination,
            "listen": self.listen,
            "resources": self.resources,
            "prompts": self.prompts,
            "completion": self.completion,
        }

    async def connect(self) -> None:
        expect(self.client.protocol_version == self.revision, f"negotiated {self.client.protocol_version}")
        expect(self.client.server_info and self.client.server_info.name, "the server has no name")

    async def list(self) -> None:
        names = await self.tool_names()
        for name in ("test_simple_text", "test_structured", "test_slow", "test_elicitation", "test_sampling"):
            expect(name in names, f"no tool {name} among {len(names)}")
        expect(len(set(names)) == len(names), "a tool is listed twice")

    async def call(self) -> None:
        async def once() -> None:
            expect(text(await self.client.call_tool("test_simple_text")), "an empty answer")

        async with anyio.create_task_group() as calls:
            for _ in range(6):
                calls.start_soon(once)
        failed = await self.client.call_tool("test_error_handling")
        expect(failed.is_error, "a failing tool answers with isError")

    async def structured(self) -> None:
        result = await self.client.call_tool("test_structured", {"a": 2, "b": 3})
        expect(result.structured_content == {"sum": 5}, f"answered {result.structured_content}")

    async def progress(self) -> None:
        steps: list[float] = []

        async def note(progress: float, _total: float | None, _message: str | None) -> None:
            steps.append(progress)

        await self.client.call_tool("test_tool_with_progress", progress_callback=note)
        expect(len(steps) >= 3, f"{len(steps)} notifications, not 3")
        expect(steps == sorted(steps), f"progress went back: {steps}")

    async def cancel(self) -> None:
        before = self.cancellations()
        call = anyio.CancelScope()

        async def give_up(_progress: float, _total: float | None, _message: str | None) -> None:
            call.cancel()

        with call:
            await self.client.call_tool("test_slow", {"seconds": 15}, FEATURE_LIMIT, give_up)
        expect(call.cancelled_caught, "the call was answered before its first progress notification")
        await until(lambda: self.cancellations() > before, "the server did not see the call cancelled")
        await self.call()

    async def elicitation(self) -> None:
        before = len(self.elicitations)
        result = await self.client.call_tool("test_elicitation", {"message": "Who is it?"})
        expect(len(self.elicitations) == before + 1, "asked not exactly once")
        question = self.elicitations[-1]
        expect(question.message == "Who is it?", f"asked {question.message!r}")
        expect("testuser" in text(result), "the answer did not reach the tool")

    async def sampling(self) -> None:
        before = len(self.samplings)
        result = await self.client.call_tool("test_sampling", {"prompt": "Say it."})
        expect(len(self.samplings) == before + 1, "asked not exactly once")
        expect("Say it." in self.samplings[-1].model_dump_json(), "the prompt did not reach the client")
        expect("sampled words" in text(result), "the answer did not reach the tool")

    async def rounds(self) -> None:
        if not self.modern:
            raise NotApplicable("rounds came with 2026-07-28")
        before = len(self.elicitations)
        result = await self.client.call_tool("test_input_required_result_multi_round")
        expect(len(self.elicitations) >= before + 2, "fewer than two rounds")
        expect(not result.is_error, text(result))

    async def pagination(self) -> None:
        names: list[str] = []
        pages, cursor = 0, None
        while pages == 0 or (cursor is not None and pages < 60):
            page = await self.client.list_tools(cursor=cursor, cache_mode="bypass")
            names += [tool.name for tool in page.tools]
            pages, cursor = pages + 1, page.next_cursor
        expect(pages > 1, "one page only: the server must run with a small page size")
        expect(names == await self.tool_names(), "two walks over the pages differ")
        try:
            await self.client.list_tools(cursor="no-such-cursor", cache_mode="bypass")
        except MCPError as refused:
            expect(refused.code == types.INVALID_PARAMS, f"a forged cursor is answered with {refused.code}")
        else:
            raise AssertionError("a forged cursor is accepted")

    async def listen(self) -> None:
        if self.modern:
            async with self.client.listen(tools_list_changed=True) as subscription:
                expect(subscription.honored.tools_list_changed, "the filter was not honoured")
                await self.trigger_tools_changed()
        elif self.over_http:
            await until(lambda: self.get_streams > 0, "no GET stream opened")
        else:
            await self.trigger_tools_changed()

    async def resources(self) -> None:
        uris = {str(resource.uri) for resource in (await self.client.list_resources()).resources}
        expect({"test://static-text", "test://static-binary"} <= uris, f"listed {sorted(uris)}")
        [page] = (await self.client.read_resource("test://static-text")).contents
        expect(isinstance(page, types.TextResourceContents) and page.text, "no text")
        [image] = (await self.client.read_resource("test://static-binary")).contents
        expect(isinstance(image, types.BlobResourceContents) and base64.b64decode(image.blob), "no bytes")
        templates = (await self.client.list_resource_templates()).resource_templates
        expect(any(it.uri_template == "test://template/{id}/data" for it in templates), "the template is not listed")
        [data] = (await self.client.read_resource("test://template/123/data")).contents
        expect("123" in data.model_dump_json(include={"text"}), "the template's variable is not in the text")
        try:
            await self.client.read_resource("test://no-such-resource")
        except MCPError:
            return
        raise AssertionError("an unknown resource was read")

    async def prompts(self) -> None:
        names = {prompt.name for prompt in (await self.client.list_prompts()).prompts}
        expect("test_simple_prompt" in names, f"listed {sorted(names)}")
        filled = {"arg1": "first-value", "arg2": "second-value"}
        result = await self.client.get_prompt("test_prompt_with_arguments", filled)
        answer = json.dumps([message.model_dump(mode="json") for message in result.messages])
        expect("first-value" in answer and "second-value" in answer, "the arguments are not in the prompt")

    async def completion(self) -> None:
        ref = types.PromptReference(type="ref/prompt", name="test_prompt_with_arguments")
        result = await self.client.complete(ref, {"name": "arg1", "value": "test"})
        expect(isinstance(result.completion.values, type([])), "no values")

    async def tool_names(self) -> "list[str]":
        """The names of all tools, page by page."""
        names, page = [], await self.client.list_tools(cache_mode="bypass")
        names += [tool.name for tool in page.tools]
        while page.next_cursor is not None:
            page = await self.client.list_tools(cursor=page.next_cursor, cache_mode="bypass")
            names += [tool.name for tool in page.tools]
        return names

    async def trigger_tools_changed(self) -> None:
        """Changes the list of tools until word of it comes; without a shared bus only the pod that listens tells of it."""
        before = self.tools_changed
        for _ in range(6):
            await self.client.call_tool("test_trigger_tool_change")
            with anyio.move_on_after(0.5):
                await until(lambda: self.tools_changed > before, "")
                return
        raise AssertionError("no notification of the changed tools")

    def cancellations(self) -> int:
        """How often a server has said that it saw the slow call cancelled."""
        return sum(log.read_text().count("cancelled test_slow") for log in self.logs)

    async def on_elicitation(self, _context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        if not isinstance(params, types.ElicitRequestFormParams):
            return types.ElicitResult(action="decline")
        self.elicitations.append(params)
        return types.ElicitResult(action="accept", content=fill(params.requested_schema))

    async def on_sampling(
        self, _context: object, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        self.samplings.append(params)
        answer = types.TextContent(type="text", text="sampled words")
        return types.CreateMessageResult(role="assistant", model="peer", content=answer)

    async def on_roots(self, _context: object) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri="file:///peer")])

    async def on_message(self, message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.tools_changed += 1

    async def on_response(self, response: httpx2.Response) -> None:
        streams = response.headers.get("content-type", "").startswith("text/event-stream")
        if response.request.method == "GET" and response.is_success and streams:
            self.get_streams += 1


async def run(options: argparse.Namespace) -> int:
    """Connects, runs every feature, closes; returns how many failed."""
    async with AsyncExitStack() as resources:
        peer = await open_peer(options, resources)
        features = peer.features()
        stage, failed = "open", 0
        try:
            async with peer.client:
                print("ok open", flush=True)
                stage = "close"
                for name, feature in features.items():
                    failed += await check(name, feature)
            print("ok close", flush=True)
        except Exception as error:
            print(f"FAIL {stage}: {reason(error)}", flush=True)
            failed += 1
    if stage == "open":
        for name in features:
            print(f"FAIL {name}: not connected")
        failed += len(features)
    return failed


async def open_peer(options: argparse.Namespace, resources: AsyncExitStack) -> Peer:
    """A peer over the transport that the options name; what it needs lives as long as `resources`."""
    peer = Peer(options.era, options.url is not None, options.log)
    if options.url:
        hooks = {"response": [peer.on_response]}
        http = await resources.enter_async_context(httpx2.AsyncClient(timeout=30, event_hooks=hooks))
        transport = streamable_http_client(options.url, http_client=http)
    else:
        stderr = resources.enter_context(tempfile.NamedTemporaryFile("w", suffix=".stderr"))
        peer.logs = [Path(stderr.name)]
        command, *arguments = options.stdio
        transport = stdio_client(StdioServerParameters(command=command, args=arguments), errlog=stderr)
    peer.client = Client(
        transport,
        mode="auto" if peer.modern else "legacy",
        read_timeout_seconds=REQUEST_LIMIT,
        client_info=types.Implementation(name="peer-python", version="1.0.0"),
        elicitation_callback=peer.on_elicitation,
        sampling_callback=peer.on_sampling,
        list_roots_callback=peer.on_roots,
        message_handler=peer.on_message,
    )
    return peer


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", choices=REVISIONS, required=True)
    parser.add_argument("--log", action="append", type=Path, default=[])
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url")
    where.add_argument("--stdio", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if options.url and not options.log:
        parser.error("--url needs the --log of each pod")
    if options.url is None and not options.stdio:
        parser.error("--stdio needs a command")
    warnings.simplefilter("ignore")  # deprecations of the features under test
    failed = anyio.run(run, options)
    print(f"python {options.era}: {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
