"""What the clients under test have in common: features that are run and reported line by line, and answers to questions."""

from collections.abc import Awaitable, Callable

import anyio
import mcp_types as types

FEATURE_LIMIT = 20.0
REQUEST_LIMIT = 10.0
REVISIONS = {"modern": "2026-07-28", "legacy": "2025-11-25"}


class NotApplicable(Exception):
    """The SDK or the era has no such feature."""


def expect(holds: object, complaint: str) -> None:
    """Fails the feature with the complaint unless `holds` is true."""
    if not holds:
        raise AssertionError(complaint)


def fill(schema: dict) -> dict:
    """An answer that satisfies a form's schema: what it suggests, or else something that fits."""
    texts = {"email": "testuser@example.com", "uri": "https://example.com/testuser", "date": "1815-12-10"}
    values = {"integer": 7, "number": 7.5, "boolean": True, "array": []}

    def answer(field: dict) -> object:
        if "default" in field:
            return field["default"]
        if "enum" in field:
            return field["enum"][0]
        if "oneOf" in field:
            return field["oneOf"][0]["const"]
        if field["type"] in values:
            return values[field["type"]]
        return texts.get(field.get("format", ""), "testuser")

    return {name: answer(field) for name, field in schema["properties"].items()}


def text(result: types.CallToolResult) -> str:
    """The texts of a tool's answer."""
    return "\n".join(block.text for block in result.content if isinstance(block, types.TextContent))


async def until(holds: Callable[[], bool], complaint: str) -> None:
    """Waits up to five seconds for the condition."""
    with anyio.move_on_after(5):
        while not holds():
            await anyio.sleep(0.02)
        return
    raise AssertionError(complaint)


async def check(name: str, run: Callable[[], Awaitable[None]]) -> bool:
    """Prints the feature's line and tells whether it failed."""
    try:
        with anyio.fail_after(FEATURE_LIMIT):
            await run()
    except NotApplicable as why:
        print(f"n/a {name}: {why}", flush=True)
    except Exception as error:  # whatever the SDK raises is the feature's failure, not the script's
        print(f"FAIL {name}: {reason(error)}", flush=True)
        return True
    else:
        print(f"ok {name}", flush=True)
    return False


def reason(error: BaseException) -> str:
    """The first cause of an error on one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return " ".join(f"{type(error).__name__}: {error}".split())
