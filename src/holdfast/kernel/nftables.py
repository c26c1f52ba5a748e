# SPDX-License-Identifier: Apache-2.0
"""nftables by command text: libnftables.so.1 through ctypes, or the `nft` program where the library is missing.

A batch of commands is one kernel transaction: all of it happens or nothing. The library's context keeps its netlink
socket in the network namespace of the thread that made it, costs 0.1 ms once and some 0.04 ms per command; the program
costs 1-2 ms. Not for two threads at once. Called by `networks.firewall`. Source: libnftables(3), nft(8).
"""

from __future__ import annotations

import ctypes
import json
import subprocess
from typing import Any, Protocol

_LIBRARY = "libnftables.so.1"
_OUTPUT_JSON = 1 << 4
_OUTPUT_NUMERIC = 0x780  # NFT_CTX_OUTPUT_NUMERIC_ALL: protocol, priority, symbol and time


class NftablesError(Exception):
    """A refused batch; the text is nft's own, with the place in the batch. `is_missing`: it named an absent object."""

    def __init__(self, text: str) -> None:
        super().__init__(text)

    @property
    def is_missing(self) -> bool:
        return "No such file or directory" in str(self) or "element does not exist" in str(self)

    @property
    def is_taken(self) -> bool:
        return "File exists" in str(self)


class Nftables(Protocol):
    """What both ways offer."""

    def run(self, commands: str) -> None:
        """Runs commands as one transaction; raises NftablesError with nothing changed."""
        ...

    def list_json(self, command: str) -> list[dict[str, Any]]:
        """Runs one `list …` command and returns nft's JSON objects; raises NftablesError."""
        ...

    def list_text(self, command: str) -> str:
        """Runs one `list …` command and returns nft's own text; raises NftablesError."""
        ...

    def close(self) -> None: ...


def open_nftables() -> Nftables:
    """The library when it can be loaded, else the program; must be called in the namespace to work in."""
    try:
        return Library()
    except OSError:
        return Program()


class Library:
    """libnftables in this process."""

    __slots__ = ("_context", "_library")

    def __init__(self, library: str = _LIBRARY) -> None:
        loaded = ctypes.CDLL(library)
        loaded.nft_ctx_new.restype = ctypes.c_void_p
        loaded.nft_ctx_new.argtypes = (ctypes.c_uint32,)
        for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error", "nft_ctx_free"):
            getattr(loaded, name).argtypes = (ctypes.c_void_p,)
        for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
            function = getattr(loaded, name)
            function.argtypes = (ctypes.c_void_p,)
            function.restype = ctypes.c_char_p
        loaded.nft_ctx_output_set_flags.argtypes = (ctypes.c_void_p, ctypes.c_uint)
        loaded.nft_run_cmd_from_buffer.argtypes = (ctypes.c_void_p, ctypes.c_char_p)
        self._library = loaded
        self._context: int | None = loaded.nft_ctx_new(0)
        if not self._context:
            raise OSError("libnftables has no context to give")
        loaded.nft_ctx_buffer_output(self._context)
        loaded.nft_ctx_buffer_error(self._context)

    def run(self, commands: str) -> None:
        if self._library.nft_run_cmd_from_buffer(self._context, commands.encode()) != 0:
            text: bytes = self._library.nft_ctx_get_error_buffer(self._context)
            raise NftablesError(text.decode(errors="replace").strip())

    def list_json(self, command: str) -> list[dict[str, Any]]:
        self._library.nft_ctx_output_set_flags(self._context, _OUTPUT_JSON | _OUTPUT_NUMERIC)
        try:
            self.run(command)
            output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        finally:
            self._library.nft_ctx_output_set_flags(self._context, 0)
        return _objects(output)

    def list_text(self, command: str) -> str:
        self.run(command)
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context)
        return output.decode(errors="replace")

    def close(self) -> None:
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None


class Program:
    """The `nft` program, one process per batch, in the network namespace of the calling thread."""

    __slots__ = ()

    def _nft(self, *arguments: str, commands: str = "") -> bytes:
        try:
            done = subprocess.run(["nft", *arguments], input=commands.encode(), capture_output=True, check=False)
        except FileNotFoundError as error:
            raise NftablesError(f"neither {_LIBRARY} nor the nft program is installed") from error
        if done.returncode != 0:
            raise NftablesError(done.stderr.decode(errors="replace").strip())
        return done.stdout

    def run(self, commands: str) -> None:
        self._nft("-f", "-", commands=commands)

    def list_json(self, command: str) -> list[dict[str, Any]]:
        return _objects(self._nft("-j", "-n", "-y", "-p", command))

    def list_text(self, command: str) -> str:
        return self._nft(command).decode(errors="replace")

    def close(self) -> None:
        """Holds nothing between batches."""


def _objects(output: bytes) -> list[dict[str, Any]]:
    return json.loads(output)["nftables"] if output.strip() else []
