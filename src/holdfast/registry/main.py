# SPDX-License-Identifier: Apache-2.0
"""The registry's program: flags, one lock per root, listener, garbage collector, shutdown.

`hold registry serve` becomes this process. Knows every module of the package; nothing imports it.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import resource
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Sequence

from holdfast import content, metadata
from holdfast.errors import Conflict, HoldfastError, InvalidArgument
from holdfast.registry import collect
from holdfast.registry.access import Gate, OpenGate
from holdfast.registry.blobs import Blobs
from holdfast.registry.cache import CachedManifests
from holdfast.registry.cached_blobs import CachedBlobs
from holdfast.registry.catalogue import Catalogue
from holdfast.registry.manifests import Manifests
from holdfast.registry.router import Router
from holdfast.registry.server import Server
from holdfast.registry.sessions import Sessions
from holdfast.registry.upstream import Upstream
from holdfast.transport import listener

DEFAULT_ROOT = "/var/lib/holdfast-registry"
DEFAULT_LISTEN = "127.0.0.1:5000"
_STACK_BYTES = 512 << 10
_LOG = logging.getLogger("holdfast.registry")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The flags; exits for --help and for wrong ones."""
    parser = argparse.ArgumentParser(prog="hold registry serve", description="Serve images to Docker's clients")
    parser.add_argument("--listen", default=DEFAULT_LISTEN, metavar="ADDRESS")
    parser.add_argument("--root", default=DEFAULT_ROOT, metavar="FOLDER")
    parser.add_argument("--tls-cert", default="", metavar="FILE")
    parser.add_argument("--tls-key", default="", metavar="FILE")
    parser.add_argument("--htpasswd", default="", metavar="FILE")
    for name in ("realm", "service", "issuer"):
        parser.add_argument(f"--token-{name}", default="", metavar="TEXT")
    parser.add_argument("--token-key", default="", metavar="FILE")
    parser.add_argument("--delete", action="store_true")
    parser.add_argument("--proxy", default="", metavar="URL")
    parser.add_argument("--log-level", default="warning", choices=("debug", "info", "warning", "error"))
    return parser.parse_args(argv)


class Registry:
    """One registry, wired and ready; `close` it."""

    def __init__(self, options: argparse.Namespace) -> None:
        os.makedirs(options.root, 0o700, exist_ok=True)
        self._lock_fd = _lock(options.root)
        self._records = metadata.Store(os.path.join(options.root, "registry.db"))
        self.store = content.Store(os.path.join(options.root, "content"))
        self.store.purge(older_than=time.time())
        self.catalogue = Catalogue(self._records)
        self.sessions = Sessions(self.store)
        self._stop = threading.Event()
        self._upstream = Upstream(options.proxy) if options.proxy else None
        blobs, manifests = self._handlers()
        router = Router(blobs, manifests, may_delete=options.delete, is_read_only=bool(options.proxy))
        self.server = Server(router, _gate(options), tls=_tls(options))

    def _handlers(self) -> tuple[Blobs, Manifests]:
        if self._upstream is None:
            return Blobs(self.store, self.catalogue, self.sessions), Manifests(self.store, self.catalogue)
        return (
            CachedBlobs(self.store, self.catalogue, self.sessions, self._upstream),
            CachedManifests(self.store, self.catalogue, self._upstream),
        )

    def serve(self, listening: socket.socket) -> None:
        """Accepts until `close`, collecting garbage beside."""
        arguments = (self.store, self.catalogue, self.sessions, self._stop, collect.INTERVAL_SECONDS)
        threading.Thread(target=collect.run_for_ever, args=arguments, daemon=True, name="collector").start()
        self.server.serve(listening)

    def close(self) -> None:
        """Ends connections and uploads, and lets go of the root."""
        self._stop.set()
        self.server.close()
        self.sessions.expire(idle_seconds=-1.0)
        self._records.close()
        if self._upstream is not None:
            self._upstream.close()
        os.close(self._lock_fd)


def _lock(root: str) -> int:
    fd = os.open(os.path.join(root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Conflict(f"another registry serves {root}: choose another --root") from None
    return fd


def _gate(options: argparse.Namespace) -> Gate:
    if options.token_realm:
        if options.htpasswd or not (options.token_service and options.token_issuer and options.token_key):
            raise InvalidArgument("--token-realm goes with --token-service, --token-issuer and --token-key, alone")
        from holdfast.registry import tokens

        return tokens.TokenGate(
            realm=options.token_realm,
            service=options.token_service,
            issuer=options.token_issuer,
            keys=tokens.read_keys(options.token_key),
        )
    if not options.htpasswd:
        return OpenGate()
    from holdfast.registry.htpasswd import HtpasswdGate

    return HtpasswdGate(options.htpasswd)


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if not (options.tls_cert or options.tls_key):
        return None
    if not (options.tls_cert and options.tls_key):
        raise InvalidArgument("--tls-cert and --tls-key go together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(f"cannot use {options.tls_cert} with {options.tls_key}: {error}") from None
    return context


def _bind(options: argparse.Namespace) -> socket.socket:
    address = listener.parse(options.listen, default_port=5000)
    if address.scheme != "tcp":
        raise InvalidArgument(f"invalid --listen {options.listen}: expected host:port")
    if not address.is_loopback and (options.htpasswd or options.token_realm) and not options.tls_cert:
        raise InvalidArgument(
            "passwords and tokens over plain http: give --tls-cert and --tls-key, or listen on loopback"
        )
    return listener.bind(address)[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until SIGTERM or SIGINT; returns the exit code."""
    options = parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    threading.stack_size(_STACK_BYTES)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        listening = _bind(options)
        registry = Registry(options)
    except HoldfastError as error:
        sys.stderr.write(f"hold: {error.message}\n")
        return 1
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    server = threading.Thread(target=registry.serve, args=(listening,), daemon=True)
    server.start()
    host, port = listening.getsockname()[:2]
    scheme = "https" if options.tls_cert else "http"
    sys.stderr.write(f"registry at {scheme}://{host}:{port}, root {options.root}\n")
    signal.sigwait(signals)
    registry.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
