# SPDX-License-Identifier: Apache-2.0
"""The networks this daemon knows, kept in `metadata`: found by name, id or id prefix. Touches no interface.

What is written survives `kill -9` at once, and a power loss once the caller has flushed the store (decisions/0016).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

import msgspec

from holdfast import errors
from holdfast.networks.network import BUCKET, PREDEFINED, Network, format_time, new_id

_DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}
_DECODER = msgspec.json.Decoder(Network)


class Transaction(Protocol):
    def put(self, bucket: str, key: str, doc: bytes) -> None: ...

    def delete(self, bucket: str, key: str) -> None: ...


class Store(Protocol):
    """What the registry needs of `metadata.Store`."""

    def items(self, bucket: str) -> list[tuple[str, bytes]]: ...

    def transaction(
        self, durable: bool = True, *, is_precious: bool = False
    ) -> AbstractContextManager[Transaction]: ...


class Registry:
    """Not for two threads at once. A record that cannot be read is left alone and listed in `damaged`."""

    __slots__ = ("_networks", "_store", "damaged", "retired")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._networks: dict[str, Network] = {}
        self.damaged: list[str] = []
        self.retired: list[Network] = []
        for key, document in store.items(BUCKET):
            try:
                found = _DECODER.decode(document)
                if found.is_retired:
                    self.retired.append(found)
                else:
                    self._networks[key] = found
            except msgspec.MsgspecError:
                self.damaged.append(key)

    def ensure_predefined(self, now_nanos: int, *, has_bridge: bool = True) -> None:
        """Makes bridge, host and none on the first start; without `has_bridge` there is none of that name."""
        if not has_bridge:
            for network in [each for each in self._networks.values() if each.name == "bridge"]:
                self.remove(network)
        names = {network.name for network in self._networks.values()}
        for name in PREDEFINED:
            if name not in names and (has_bridge or name != "bridge"):
                created = format_time(now_nanos)
                made = Network(network_id=new_id(), name=name, driver=_DRIVERS[name], created_at=created)
                self.put(made)

    def default_bridge(self) -> Network | None:
        """The network of that name; None where there is to be none."""
        return next((network for network in self._networks.values() if network.name == "bridge"), None)

    def put(self, network: Network) -> None:
        with self._store.transaction(durable=False) as transaction:
            transaction.put(BUCKET, network.network_id, msgspec.json.encode(network))
        self._networks[network.network_id] = network

    def retire(self, network: Network) -> None:
        """Removes a network for its users; the record stays until `forget`, whoever is killed in between."""
        retired = msgspec.structs.replace(network, is_retired=True)
        with self._store.transaction(durable=False, is_precious=True) as transaction:
            transaction.put(BUCKET, network.network_id, msgspec.json.encode(retired))
        self._networks.pop(network.network_id, None)

    def forget(self, network: Network) -> None:
        """The end of a retired network's record; from any thread."""
        with self._store.transaction(durable=False) as transaction:
            transaction.delete(BUCKET, network.network_id)

    def remove(self, network: Network) -> None:
        with self._store.transaction(durable=False) as transaction:
            transaction.delete(BUCKET, network.network_id)
        self._networks.pop(network.network_id, None)

    def all(self) -> list[Network]:
        return list(self._networks.values())

    def get(self, network_id: str) -> Network | None:
        """By the whole id."""
        return self._networks.get(network_id)

    def find(self, name_or_id: str) -> Network:
        """By name, whole id, or a prefix that only one id has; raises NotFound or InvalidArgument."""
        wanted = name_or_id or "bridge"
        whole = self._networks.get(wanted)
        if whole is not None:
            return whole
        for network in self.all():
            if wanted == network.name:
                return network
        matches = [network for network in self.all() if network.network_id.startswith(wanted)]
        if len(matches) > 1:
            raise errors.InvalidArgument(
                f"network {wanted} is ambiguous ({len(matches)} matches found based on ID prefix)"
            )
        if not matches:
            raise errors.NotFound(f"network {wanted} not found")
        return matches[0]
