"""A server of the Python SDK, in both eras.

    python.py [--stdio]
"""

import json
import re
import socket
import sys
import urllib.parse
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import uvicorn
from mcp import MCPError
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated, ToolsListChanged

CATALOGUE = json.loads(Path(__file__).with_name("catalogue.json").read_text())
LEVELS = ("debug", "info", "warning", "error")
COUNTER = "peer://counter"
MINUTE = CacheHint(ttl_ms=60_000, scope="private")

Context = ServerRequestContext[Any]
Answer = types.CallToolResult | types.InputRequiredResult


@dataclass
class Legacy:
    """A session of a legacy client, and what it asked for in it."""

    session: ServerSession
    watched: set[str] = field(default_factory=set)
    level: types.LoggingLevel = "debug"


class Peer:
    """What lives as long as the process, however many sessions it serves."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self.extra = False
        self.counter = 0
        self.cancellations = 0
        self.legacy: dict[str | None, Legacy] = {}

    async def list_tools(self, _context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        tools = CATALOGUE["tools"] + ([CATALOGUE["extra"]] if self.extra else [])
        cursor = params.cursor if params is not None else None
        if cursor is not None and not (cursor.isdecimal() and int(cursor) <= len(tools)):
            raise invalid("no such cursor")
        start = int(cursor or 0)
        end = start + CATALOGUE["pageSize"]
        page = [types.Tool.model_validate(tool) for tool in tools[start:end]]
        return types.ListToolsResult(tools=page, next_cursor=str(end) if end < len(tools) else None)

    async def call_tool(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        tool: Callable[[Context, types.CallToolRequestParams], Awaitable[Answer]] | None
        tool = getattr(self, f"tool_{params.name}", None)
        if tool is None:
            raise invalid(f"no tool {params.name}")
        return await tool(context, params)

    async def tool_echo(self, _context: Context, params: types.CallToolRequestParams) -> Answer:
        return say(argument(params, "text"))

    async def tool_add(self, _context: Context, params: types.CallToolRequestParams) -> Answer:
        total = argument(params, "a") + argument(params, "b")
        return say(str(total), structured_content={"sum": total})

    async def tool_fail(self, _context: Context, _params: types.CallToolRequestParams) -> Answer:
        return say("it did not work", is_error=True)

    async def tool_route(self, _context: Context, params: types.CallToolRequestParams) -> Answer:
        return say(argument(params, "region"))

    async def tool_count(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        to = argument(params, "to")
        for step in range(1, to + 1):
            await context.session.report_progress(step, to)
            await anyio.sleep(0.005)
        return say(f"counted to {to}")

    async def tool_slow(self, context: Context, _params: types.CallToolRequestParams) -> Answer:
        try:
            for step in range(1, 201):
                await context.session.report_progress(step)
                await anyio.sleep(0.05)
        except anyio.get_cancelled_exc_class():
            self.cancellations += 1
            print("cancelled slow", file=sys.stderr, flush=True)
            raise
        return say("nobody cancelled it")

    async def tool_cancellations(self, _context: Context, _params: types.CallToolRequestParams) -> Answer:
        return say(str(self.cancellations), structured_content={"count": self.cancellations})

    async def tool_ask(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        answer = await self.elicit(context, params, "form", "Who are you?", CATALOGUE["form"])
        if isinstance(answer, types.InputRequiredResult):
            return answer
        return say(json.dumps(answer.content) if answer.action == "accept" else f"answered {answer.action}")

    async def tool_quiz(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        questions, schema = CATALOGUE["questions"], CATALOGUE["question"]
        first = params.request_state
        if first is None:
            answer = await self.elicit(context, params, "first", questions["first"], schema)
            if isinstance(answer, types.InputRequiredResult):
                return answer
            first = str((answer.content or {}).get("answer"))
        answer = await self.elicit(context, params, "second", questions["second"], schema)
        if isinstance(answer, types.InputRequiredResult):
            return answer.model_copy(update={"request_state": first})
        return say(f"{first}, {(answer.content or {}).get('answer')}")

    async def tool_sample(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        content = types.TextContent(type="text", text=argument(params, "prompt"))
        messages = [types.SamplingMessage(role="user", content=content)]
        if modern(context):
            question = types.CreateMessageRequestParams(messages=messages, max_tokens=100)
            answer = (params.input_responses or {}).get("sample")
            if answer is None:
                return needs("sample", types.CreateMessageRequest(params=question))
        else:
            answer = await context.session.create_message(
                messages, max_tokens=100, related_request_id=context.request_id
            )
        return say(answer.model_dump_json())

    async def tool_roots(self, context: Context, params: types.CallToolRequestParams) -> Answer:
        if modern(context):
            answer = (params.input_responses or {}).get("roots")
            if answer is None:
                return needs("roots", types.ListRootsRequest())
        else:
            answer = await context.session.list_roots()
        return say(answer.model_dump_json())

    async def tool_log(self, context: Context, _params: types.CallToolRequestParams) -> Answer:
        # Modern requests carry their level, which the SDK obeys.
        least = "debug" if modern(context) else self.of(context).level
        for level in LEVELS[LEVELS.index(least) :]:
            await context.session.send_log_message(level, f"a line at {level}", related_request_id=context.request_id)
        return say("logged")

    async def tool_toggle(self, _context: Context, _params: types.CallToolRequestParams) -> Answer:
        self.extra = not self.extra
        await self.bus.publish(ToolsListChanged())
        for legacy in self.legacy.values():
            await legacy.session.send_tool_list_changed()
        return say("toggled")

    async def tool_touch(self, _context: Context, _params: types.CallToolRequestParams) -> Answer:
        self.counter += 1
        await self.bus.publish(ResourceUpdated(uri=COUNTER))
        for legacy in self.legacy.values():
            if COUNTER in legacy.watched:
                await legacy.session.send_resource_updated(COUNTER)
        return say("touched")

    async def elicit(
        self, context: Context, params: types.CallToolRequestParams, key: str, message: str, schema: dict[str, Any]
    ) -> types.ElicitResult | types.InputRequiredResult:
        """The answer, or what a modern client must answer first."""
        if not modern(context):
            return await context.session.elicit_form(message, schema, related_request_id=context.request_id)
        answer = (params.input_responses or {}).get(key)
        if isinstance(answer, types.ElicitResult):
            return answer
        question = types.ElicitRequestFormParams(message=message, requested_schema=schema)
        return needs(key, types.ElicitRequest(params=question))

    async def list_resources(self, _context: Context, _params: object) -> types.ListResourcesResult:
        return types.ListResourcesResult.model_validate({"resources": CATALOGUE["resources"]})

    async def list_templates(self, _context: Context, _params: object) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult.model_validate({"resourceTemplates": CATALOGUE["templates"]})

    async def read_resource(
        self, _context: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(params.uri)
        if uri == COUNTER:
            contents = {"uri": uri, "mimeType": "text/plain", "text": str(self.counter)}
        elif uri == "peer://bytes":
            contents = {"uri": uri, "mimeType": "application/octet-stream", "blob": CATALOGUE["bytes"]}
        elif found := re.fullmatch(r"peer://greeting/([^/]+)", uri):
            text = f"Hello, {urllib.parse.unquote(found[1])}!"
            contents = {"uri": uri, "mimeType": "text/plain", "text": text}
        else:
            raise MCPError(types.INVALID_PARAMS, "no such resource", {"uri": uri})
        return types.ReadResourceResult.model_validate({"contents": [contents]})

    async def initialized(self, context: Context, _params: object) -> None:
        self.of(context)

    def of(self, context: Context) -> Legacy:
        """The session of a legacy client's message; over stdio there is one."""
        key = context.request.headers.get("mcp-session-id") if context.request is not None else None
        return self.legacy.setdefault(key, Legacy(context.session))

    async def subscribe(self, context: Context, params: types.SubscribeRequestParams) -> types.EmptyResult:
        self.of(context).watched.add(str(params.uri))
        return types.EmptyResult()

    async def unsubscribe(self, context: Context, params: types.UnsubscribeRequestParams) -> types.EmptyResult:
        self.of(context).watched.discard(str(params.uri))
        return types.EmptyResult()

    async def set_level(self, context: Context, params: types.SetLevelRequestParams) -> types.EmptyResult:
        self.of(context).level = params.level
        return types.EmptyResult()

    async def list_prompts(self, _context: Context, _params: object) -> types.ListPromptsResult:
        return types.ListPromptsResult.model_validate({"prompts": CATALOGUE["prompts"]})

    async def get_prompt(self, _context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        filled = params.arguments or {}
        if params.name != "greet" or "name" not in filled:
            raise invalid("no such prompt, or it lacks a name")
        text = f"Greet {filled['name']}, {filled.get('style', 'casual')}."
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(messages=[message])

    async def complete(self, _context: Context, params: types.CompleteRequestParams) -> types.CompleteResult:
        styles = CATALOGUE["styles"] if params.argument.name == "style" else []
        values = [style for style in styles if style.startswith(params.argument.value)]
        return types.CompleteResult(completion=types.Completion(values=values, total=len(values), has_more=False))

    def input_schema(self, name: str) -> dict[str, Any] | None:
        """For the SDK's check of headers that mirror arguments."""
        return next((tool["inputSchema"] for tool in CATALOGUE["tools"] if tool["name"] == name), None)


def argument(params: types.CallToolRequestParams, name: str) -> Any:
    """A required argument of the call."""
    try:
        return (params.arguments or {})[name]
    except KeyError:
        raise invalid(f"the argument {name} is missing") from None


def modern(context: Context) -> bool:
    """Whether the request came in the era of rounds."""
    return context.protocol_version >= "2026"


def invalid(message: str) -> MCPError:
    return MCPError(types.INVALID_PARAMS, message)


def needs(key: str, question: Any) -> types.InputRequiredResult:
    return types.InputRequiredResult(input_requests={key: question})


def say(text: str, **more: Any) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], **more)


class AnnouncingServer(Server[Any]):
    """Tells legacy clients that the list of tools changes, over HTTP too, where the SDK does not ask."""

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *rest: Any, **more: Any
    ) -> InitializationOptions:
        notifications = notification_options or NotificationOptions(tools_changed=True)
        return super().create_initialization_options(notifications, *rest, **more)


def new_server() -> Server[Any]:
    peer = Peer()
    server = AnnouncingServer(
        CATALOGUE["name"],
        version=CATALOGUE["version"],
        cache_hints={"tools/list": MINUTE, "resources/read": MINUTE, "server/discover": MINUTE},
        get_tool_input_schema=peer.input_schema,
        on_list_tools=peer.list_tools,
        on_call_tool=peer.call_tool,
        on_list_resources=peer.list_resources,
        on_list_resource_templates=peer.list_templates,
        on_read_resource=peer.read_resource,
        on_subscribe_resource=peer.subscribe,
        on_unsubscribe_resource=peer.unsubscribe,
        on_subscriptions_listen=ListenHandler(peer.bus),
        on_list_prompts=peer.list_prompts,
        on_get_prompt=peer.get_prompt,
        on_completion=peer.complete,
        on_set_logging_level=peer.set_level,
    )
    server.add_notification_handler("notifications/initialized", types.NotificationParams, peer.initialized)
    return server


async def serve_stdio() -> None:
    server = new_server()
    async with stdio_server() as (reads, writes):
        await server.run(reads, writes, server.create_initialization_options())


def serve_http() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    uvicorn.Server(uvicorn.Config(new_server().streamable_http_app(), log_level="error")).run([listener])


warnings.simplefilter("ignore")  # deprecations of the features under test
if "--stdio" in sys.argv:
    anyio.run(serve_stdio)
else:
    serve_http()
