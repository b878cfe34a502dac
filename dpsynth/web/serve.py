"""Start the console: on this machine's loopback, or elsewhere with TLS, and say where it is.

A link with the token is all that opens it; the link goes to the terminal of whoever started it and nowhere else.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from accounting.ledger import Signer
from dpsynth.core.errors import ParameterError, WorkspaceError
from dpsynth.web.access import Secrets
from dpsynth.web.app import LOOPBACK, make_app

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dpsynth.workspace import Workspace

DEFAULT_PORT: Final = 8371


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the console listens.

    Attributes:
        host: a loopback address; any other only with a certificate.
        port: 0 takes a free one.
        certificate: PEM file; with `key` the console speaks TLS.
        key: PEM file of its private key.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ParameterError("A certificate needs its key, and a key its certificate.", "Give both, or neither.")
        if self.certificate is not None and self._every_address:
            raise ParameterError(
                f"'{self.host}' listens on every address, and no browser can call it by that name.",
                "Give --host the name or address by which this machine is called.",
            )
        if self.certificate is None and not self._loopback:
            raise ParameterError(
                f"The console shows confidential figures, and '{self.host}' can be reached from other machines.",
                "Leave out --host, or give --certificate and --certificate-key, so that it speaks TLS.",
            )

    @property
    def _loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def _every_address(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @property
    def shown(self) -> str:
        """The host as a link writes it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def names(self) -> tuple[str, ...]:
        """By which a browser may call it."""
        return (*LOOPBACK, self.shown)

    @property
    def scheme(self) -> str:
        """Http or https."""
        return "http" if self.certificate is None else "https"


def serve(workspace: Workspace, keys: Sequence[Path], place: Place, announce: Callable[[str], None]) -> None:
    """Listen until interrupted.

    Args:
        workspace: what is shown.
        keys: private key files of the person at the console.
        place: where.
        announce: called once with the link, when the socket listens.

    Raises:
        WorkspaceError: the port is taken.
        KeyRefused: a file holds no private key.
    """
    import uvicorn

    secrets = Secrets()
    app = make_app(
        workspace,
        keys={path: Signer.load(path).key_id for path in keys},
        secrets=secrets,
        hosts=place.names,
        secure=place.scheme == "https",
    )
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((place.host, place.port))
        except OSError as error:
            raise WorkspaceError(
                f"Nothing can listen on {place.host}:{place.port} ({error.strerror}).", "Choose another: --port 0."
            ) from error
        port = listening.getsockname()[1]
        announce(f"{place.scheme}://{place.shown}:{port}/login?token={secrets.token}")
        config = uvicorn.Config(
            app,
            log_level="critical",  # a traceback may quote a cell; the console says what failed, without its words
            access_log=False,  # the first line would hold the token
            server_header=False,
            ssl_certfile=place.certificate,
            ssl_keyfile=None if place.key is None else str(place.key),
        )
        uvicorn.Server(config).run(sockets=[listening])
