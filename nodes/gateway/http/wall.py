"""What the page of all streams asks for: their pictures, and other prompts."""

import asyncio
from collections.abc import Mapping

import aiohttp
import msgspec
from aiohttp import hdrs, web

from ssa_stream.nodes.gateway.settings import GatewaySettings
from ssa_stream.nodes.gateway.streams import StreamHandler
from ssa_stream.nodes.gateway.wall import Wall
from ssa_stream.nodes.gateway.webrtc.channels import PromptHandler
from ssa_stream.nodes.gateway.webrtc.peers import Refused
from ssa_stream.nodes.runtime.metrics import NodeMetrics

__all__ = ["add_wall"]

_JSON = "application/json"
_STATUS = {
    "invalid": 400,
    "unknown_stream": 404,
    "unknown_prompt": 404,
    "too_large": 413,
    "busy": 429,
    "unavailable": 503,
}
_OTHER_REFUSAL = 409
_MOST_DIGITS = 18


class _Kind(msgspec.Struct):
    """What tells a refusal from an answer."""

    type: str
    code: str = ""


def add_wall(
    app: web.Application,
    wall: Wall,
    handlers: Mapping[str, StreamHandler],
    settings: GatewaySettings,
    metrics: NodeMetrics,
) -> None:
    """Let an application answer at `/api/wall` and `/api/streams/NAME/prompts`.

    Args:
        app: Its middleware lets in only who may ask.
        wall: See there.
        handlers: Streams by name.
        settings: Of the gateway.
        metrics: Count commands that are refused.
    """
    limits = settings.limits
    # One for each stream: whoever changes prompts over HTTP has no session whose commands could be counted.
    prompts = {name: PromptHandler(name, handler.ask, limits, metrics) for name, handler in handlers.items()}

    async def look(request: web.Request) -> web.StreamResponse:
        after = request.query.get("after")
        if after is not None and not (after.isascii() and after.isdigit() and len(after) <= _MOST_DIGITS):
            raise Refused(400, "`after` is no number; expected `next` of the answer before, or nothing")
        return web.Response(
            body=await wall.look(None if after is None else int(after)), content_type="application/octet-stream"
        )

    async def command(request: web.Request) -> web.StreamResponse:
        handler = prompts.get(request.match_info["stream"])
        if handler is None:
            raise Refused(404, f"there is no such stream; expected one of {', '.join(prompts) or 'none'}")
        # A page elsewhere cannot send this type unless the browser has asked whether it may.
        if request.content_type != _JSON:
            raise Refused(415, f"the command is {request.content_type[:80]}; expected {_JSON}")
        text = await handler.answer(await _body_of(request, settings.http.body_s))
        answer = msgspec.json.decode(text, type=_Kind)
        status = 200 if answer.type != "error" else _STATUS.get(answer.code, _OTHER_REFUSAL)
        return web.Response(status=status, text=text, content_type=_JSON)

    app.router.add_get("/api/wall", look)
    app.router.add_post("/api/streams/{stream}/prompts", command)


async def _body_of(request: web.Request, limit_s: float) -> bytes:
    if hdrs.CONTENT_ENCODING in request.headers:
        raise Refused(400, "the command is compressed; expected plain JSON")
    try:
        async with asyncio.timeout(limit_s):
            return await request.read()
    except TimeoutError as error:
        raise Refused(408, f"the command did not arrive within {limit_s:g} s") from error
    except (web.RequestPayloadError, aiohttp.ClientPayloadError) as error:
        raise Refused(400, "the command was sent in chunks that cannot be read") from error
