"""Drives a server behind the gateway through the public API of the Python SDK's client, one line per feature.

    cell.py --era modern|legacy --script peer|everything --url URL [--log FILE]...

What to ask of which server stands in cell/script.json; `--log` names the files that the servers say in what they saw.
Prints `ok NAME`, `FAIL NAME: reason` or `n/a NAME: why` per feature; exits 1 when one failed, 2 on misuse.
"""

import argparse
import base64
import json
import sys
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from check import FEATURE_LIMIT, REQUEST_LIMIT, REVISIONS, NotApplicable, check, expect, fill, reason, text, until

SCRIPTS = json.loads(Path(__file__).with_name("cell").joinpath("script.json").read_text())


class Cell:
    """One connection's features, and what was seen while they ran."""

    client: Client

    def __init__(self, era: str, script: dict[str, Any], logs: list[Path]) -> None:
        self.modern = era == "modern"
        self.revision = REVISIONS[era]
        self.script = script
        self.logs = logs
        self.get_streams = 0
        self.forms: list[types.ElicitRequestFormParams] = []
        self.samplings: list[types.CreateMessageRequestParams] = []
        self.changed: Counter[str] = Counter()
        self.updated: list[str] = []
        self.levels: list[str] = []

    def features(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Every feature by its name, in the order in which they run."""
        return {
            "connect": self.connect,
            "tools": self.tools,
            "prompts": self.prompts,
            "resources": self.resources,
            "elicitation": self.elicitation,
            "rounds": self.rounds,
            "sampling": self.sampling,
            "roots": self.roots,
            "progress": self.progress,
            "cancellation": self.cancellation,
            "lists": self.lists,
            "updates": self.updates,
            "logging": self.logging,
            "pagination": self.pagination,
            "completion": self.completion,
        }

    async def connect(self) -> None:
        expect(self.client.protocol_version == self.revision, f"negotiated {self.client.protocol_version}")
        expect(self.client.server_info and self.client.server_info.name, "the server has no name")

    async def tools(self) -> None:
        names = [name async for name, _ in self.tool_names()]
        for step in ("echo", "elicitation", "sampling"):
            name = self.script[step]["call"]["name"]
            expect(name in names, f"no tool {name} among {names}")
        expect(len(set(names)) == len(names), "a tool is listed twice")
        async with anyio.create_task_group() as calls:
            for _ in range(6):
                calls.start_soon(self.take, "echo")
        failed = await self.call(self.script["failing"]["call"])
        expect(failed.is_error, "a failing tool answers with isError")
        result = await self.take("structured")
        expect(result.structured_content == self.script["structured"]["content"], f"{result.structured_content}")
        try:
            missing = await self.client.call_tool("no-such-tool", {})
        except MCPError:
            return
        # The servers of the first generation answer so.
        expect(missing.is_error, "a tool that is not there answered")

    async def prompts(self) -> None:
        prompt = self.script["prompt"]
        listed = {prompt.name for prompt in (await self.client.list_prompts()).prompts}
        expect(prompt["get"]["name"] in listed, f"listed {sorted(listed)}")
        result = await self.client.get_prompt(prompt["get"]["name"], prompt["get"]["arguments"])
        answer = json.dumps([message.model_dump(mode="json") for message in result.messages])
        expect(prompt["expected"] in answer, answer)

    async def resources(self) -> None:
        resources, template = self.script["resources"], self.script["template"]
        uris = {str(resource.uri) for resource in (await self.client.list_resources()).resources}
        expect(resources["text"] in uris, f"listed {sorted(uris)}")
        [page] = (await self.client.read_resource(resources["text"])).contents
        expect(isinstance(page, types.TextResourceContents) and page.text, "no text")
        [image] = (await self.client.read_resource(resources["bytes"])).contents
        expect(isinstance(image, types.BlobResourceContents) and base64.b64decode(image.blob), "no bytes")
        templates = (await self.client.list_resource_templates()).resource_templates
        expect(any(it.uri_template == template["template"] for it in templates), "no template")
        [data] = (await self.client.read_resource(template["uri"])).contents
        expect(isinstance(data, types.TextResourceContents) and template["expected"] in data.text, f"{data}")
        try:
            await self.client.read_resource(resources["missing"])
        except MCPError:
            return
        raise AssertionError("a resource that is not there was read")

    async def elicitation(self) -> None:
        await self.asks("elicitation", self.forms, 1)

    async def rounds(self) -> None:
        await self.asks("rounds", self.forms, 2)

    async def sampling(self) -> None:
        await self.asks("sampling", self.samplings, 1)

    async def roots(self) -> None:
        await self.take("roots")

    async def progress(self) -> None:
        steps: list[float] = []

        async def note(progress: float, _total: float | None, _message: str | None) -> None:
            steps.append(progress)

        await self.take("progress", progress_callback=note)
        expect(len(steps) == 5, f"{len(steps)} notifications, not 5")
        expect(steps == sorted(steps), f"progress went back: {steps}")

    async def cancellation(self) -> None:
        step = self.script["cancellation"]
        before = self.occurrences(step["logged"])
        call = anyio.CancelScope()

        async def give_up(_progress: float, _total: float | None, _message: str | None) -> None:
            call.cancel()

        with call:
            await self.call(step["call"], read_timeout_seconds=FEATURE_LIMIT, progress_callback=give_up)
        expect(call.cancelled_caught, "the call was answered before its first progress notification")
        await until(lambda: self.occurrences(step["logged"]) > before, "the server did not see the call cancelled")
        await self.take("echo")

    async def lists(self) -> None:
        step = self.script["lists"]
        async with self.listening(**{f"{step['list']}_list_changed": True}):
            before = self.changed[step["list"]]
            await self.call(step["call"])
            await until(lambda: self.changed[step["list"]] > before, "no word of the change")

    async def updates(self) -> None:
        step = self.script["updates"]
        if not self.modern:
            await self.client.subscribe_resource(step["uri"])
        async with self.listening(resource_subscriptions=[step["uri"]]):
            self.updated.clear()
            await self.call(step["call"])
            await until(lambda: bool(self.updated), "no word of the change")
            expect(set(self.updated) == {step["uri"]}, f"word of {self.updated}")
        if not self.modern:
            await self.client.unsubscribe_resource(step["uri"])

    async def logging(self) -> None:
        step = self.script["logging"]
        if not self.modern:
            await self.client.set_logging_level(level(self.script))
        self.levels.clear()
        async with anyio.create_task_group() as calls:
            turned_on = False

            async def turn_on(_progress: float, _total: float | None, _message: str | None) -> None:
                nonlocal turned_on
                if "on" in step and not turned_on:
                    turned_on = True
                    calls.start_soon(self.call, step["on"])

            await self.call(step["call"], progress_callback=turn_on)
        expected = step.get("levels", ["any"])
        await until(lambda: len(self.levels) >= len(expected), f"heard only of {self.levels}")
        expect("levels" not in step or self.levels == expected, f"heard of {self.levels}")

    async def pagination(self) -> None:
        walked = [item async for item in self.tool_names()]
        pages = 1 + max(page for _, page in walked)
        expect(pages >= self.script["pages"]["least"], f"{pages} pages")
        again = [name async for name, _ in self.tool_names()]
        expect(settled([name for name, _ in walked]) == settled(again), "two walks over the pages differ")
        try:
            await self.client.list_tools(cursor="no-such-cursor", cache_mode="bypass")
        except MCPError as refused:
            expect(refused.code == types.INVALID_PARAMS, f"a cursor of nobody is answered with {refused.code}")
        else:
            raise AssertionError("a cursor of nobody is accepted")

    async def completion(self) -> None:
        step = self.script["completion"]
        ref = types.PromptReference(type="ref/prompt", name=step["prompt"])
        result = await self.client.complete(ref, {"name": step["name"], "value": step["value"]})
        expect(step["expected"] in result.completion.values, f"{result.completion.values}")

    async def tool_names(self) -> AsyncIterator[tuple[str, int]]:
        """The names of all tools, each with its page's number."""
        number, cursor = 0, None
        while number == 0 or cursor is not None:
            expect(number < 60, "no last page")
            page = await self.client.list_tools(cursor=cursor, cache_mode="bypass")
            for tool in page.tools:
                yield tool.name, number
            number, cursor = number + 1, page.next_cursor

    async def call(self, call: dict[str, Any], **more: Any) -> types.CallToolResult:
        return await self.client.call_tool(call["name"], call["arguments"], **more)

    async def take(self, name: str, **more: Any) -> types.CallToolResult:
        """Calls a step's tool and holds its text against what is expected."""
        step = self.script[name]
        result = await self.call(step["call"], **more)
        expect(not result.is_error, text(result))
        for part in step.get("expected", []):
            expect(part in text(result), f"{text(result)}, without {part}")
        return result

    async def asks(self, name: str, asked: list[Any], times: int) -> None:
        """Calls a step's tool, which asks so many times."""
        before = len(asked)
        await self.take(name)
        expect(len(asked) - before == times, f"asked {len(asked) - before} times")

    @asynccontextmanager
    async def listening(self, **what: Any) -> AsyncIterator[None]:
        """While the client hears of it: by a stream of its own, or by the session's."""
        if not self.modern:
            await until(lambda: self.get_streams > 0, "no GET stream opened")
            yield
            return
        async with self.client.listen(**what) as subscription:
            for name, value in what.items():
                expect(getattr(subscription.honored, name) == value, f"{name} was not honoured")
            yield

    def occurrences(self, line: str) -> int:
        """How often the line stands in the servers' logs."""
        return sum(log.read_text().count(line) for log in self.logs)

    async def on_form(self, _context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        if not isinstance(params, types.ElicitRequestFormParams):
            return types.ElicitResult(action="decline")
        self.forms.append(params)
        return types.ElicitResult(action="accept", content=fill(params.requested_schema))

    async def on_sampling(
        self, _context: object, params: types.CreateMessageRequestParams
    ) -> types.CreateMessageResult:
        self.samplings.append(params)
        [block, *_] = params.messages[0].content_as_list
        answer = types.TextContent(type="text", text=f"sampled: {block.text}")
        return types.CreateMessageResult(role="assistant", model="cell", content=answer)

    async def on_roots(self, _context: object) -> types.ListRootsResult:
        return types.ListRootsResult(roots=[types.Root(uri="file:///cell")])

    async def on_log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.levels.append(params.level)

    async def on_message(self, message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self.changed["tools"] += 1
        elif isinstance(message, types.ResourceListChangedNotification):
            self.changed["resources"] += 1
        elif isinstance(message, types.ResourceUpdatedNotification):
            self.updated.append(str(message.params.uri))

    async def on_response(self, response: httpx2.Response) -> None:
        streams = response.headers.get("content-type", "").startswith("text/event-stream")
        if response.request.method == "GET" and response.is_success and streams:
            self.get_streams += 1


def level(script: dict[str, Any]) -> types.LoggingLevel:
    """The level at which the script has the server log."""
    return script["logging"].get("levels", ["debug"])[0]


def settled(names: list[str]) -> list[str]:
    """Without the tool that comes and goes, on each pod by itself."""
    return [name for name in names if name != "extra"]


async def run(options: argparse.Namespace) -> int:
    """Connects, runs every feature, closes; returns how many failed."""
    cell = Cell(options.era, SCRIPTS[options.script], options.log)
    absent = cell.script.get("absent", {}) | (cell.script.get("absentForModern", {}) if cell.modern else {})
    stage, failed = "open", 0
    async with AsyncExitStack() as resources:
        hooks = {"response": [cell.on_response]}
        http = await resources.enter_async_context(httpx2.AsyncClient(timeout=30, event_hooks=hooks))
        cell.client = Client(
            streamable_http_client(options.url, http_client=http),
            mode="auto" if cell.modern else "legacy",
            read_timeout_seconds=REQUEST_LIMIT,
            client_info=types.Implementation(name="cell-python", version="1.0.0"),
            elicitation_callback=cell.on_form,
            sampling_callback=cell.on_sampling,
            list_roots_callback=cell.on_roots,
            logging_callback=cell.on_log,
            log_level=level(cell.script),
            message_handler=cell.on_message,
        )
        try:
            async with cell.client:
                print("ok open", flush=True)
                stage = "close"
                for name, feature in cell.features().items():
                    failed += await check(name, not_there(absent[name]) if name in absent else feature)
            print("ok close", flush=True)
        except Exception as error:
            print(f"FAIL {stage}: {reason(error)}", flush=True)
            failed += 1
    if stage == "open":
        for name in cell.features():
            print(f"FAIL {name}: not connected")
    return failed


def not_there(why: str) -> Callable[[], Awaitable[None]]:
    """A feature that the server has not."""

    async def feature() -> None:
        raise NotApplicable(why)

    return feature


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--era", choices=REVISIONS, required=True)
    parser.add_argument("--script", choices=SCRIPTS, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--log", action="append", type=Path, default=[])
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # deprecations of the features under test
    sys.exit(1 if anyio.run(run, options) else 0)


if __name__ == "__main__":
    main()
