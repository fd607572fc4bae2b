"""`python -m bench.server`: the service with one more route, which checks a submission and does nothing with it.

It is the limit that submissions are measured by: the same server, key, body and checks, and no ledger.
"""

import asyncio
import os
import socket
import sys

import uvloop
from starlette.requests import Request
from starlette.responses import Response

from jobreel import logs
from jobreel.api.answers import JsonAnswer
from jobreel.api.app import Edge
from jobreel.api.auth import Gate
from jobreel.api.bodies import json_body
from jobreel.api.routes import Methods, Routes
from jobreel.core.keys import Caller, Keyring
from jobreel.jobs.toolkit.echo import EchoRequest
from jobreel.settings import Settings
from jobreel.wiring import BACKLOG, Node, Server
from jobreel.workers import processes

NOTHING = "/bench/nothing"
HOST = "127.0.0.1"


class NothingToo(Node):
    """The service, answering one path more."""

    def _server(self) -> Server:
        server = super()._server()
        edge = server.config.app
        assert isinstance(edge, Edge)
        edge.routes = _NothingToo(edge.routes, Keyring(self.settings.api_key or "", {}), self.settings.max_body)
        return server


class _NothingToo(Routes):
    def __init__(self, product: Routes, keyring: Keyring, max_body: int) -> None:
        super().__init__([])
        self._product, self._max_body = product, max_body
        self._nothing = {"POST": Gate(keyring).keyed(self._do_nothing)}

    def methods(self, request: Request) -> Methods:
        return self._nothing if request.scope["path"] == NOTHING else self._product.methods(request)

    async def _do_nothing(self, request: Request, _caller: Caller) -> Response:
        EchoRequest.parse(await json_body(request, self._max_body))
        return JsonAnswer({"code": 200, "message": "success"})


def main(port: int, *, work: bool) -> None:
    """As `wiring.serve`."""
    settings = Settings.from_environment(os.environ)
    logs.configure(settings.log_format)
    processes.hide_memory()
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    node = NothingToo.open(settings, settings.public_url_at(HOST, port), work=work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(node.run(listener))


if __name__ == "__main__":
    main(int(sys.argv[sys.argv.index("--port") + 1]), work="--no-work" not in sys.argv)
