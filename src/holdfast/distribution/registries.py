# SPDX-License-Identifier: Apache-2.0
"""How each registry is reached: its endpoints in order, connections shared by all, and patience.

Built once by `daemon.wiring`; thread-safe. Called by `distribution.pull` and `distribution.push`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from holdfast.distribution import hosts_file, retry
from holdfast.distribution.auth import Authenticator
from holdfast.distribution.credentials import ANONYMOUS, Credentials
from holdfast.distribution.endpoints import Endpoint, RegistryConfig, is_own, plan_endpoints
from holdfast.distribution.http import HTTP
from holdfast.distribution.remote import PULL, PUSH, Remote
from holdfast.errors import Forbidden
from holdfast.oci.reference import Reference

DEFAULT_POLICY = retry.Policy()
MIRROR_POLICY = retry.Policy(attempts=2, deadline_seconds=5.0)
"""A mirror gets less patience: there is somebody else to ask."""


class Registries:
    """The way to every registry, as the daemon's configuration has it."""

    def __init__(
        self,
        config: RegistryConfig | None = None,
        *,
        http: HTTP | None = None,
        policy: retry.Policy | None = None,
    ) -> None:
        self.config = config or RegistryConfig()
        self._transport = http
        self._policy = policy or DEFAULT_POLICY
        self._lock = threading.Lock()

    def close(self) -> None:
        """Closes the idle connections."""
        if self._transport is not None:
            self._transport.close()

    def readers(self, reference: Reference, credentials: Credentials) -> Iterator[Remote]:
        """The repository at every endpoint that may serve it, in the order in which to ask them.

        Forbidden for `scratch`, which no registry has.
        """
        if reference.familiar_name == "scratch":
            raise Forbidden("'scratch' is a reserved name")
        for endpoint in self._endpoints(reference.domain):
            yield self.at(endpoint, reference, credentials if is_own(endpoint, reference.domain) else ANONYMOUS, PULL)

    def writers(self, reference: Reference, credentials: Credentials) -> Iterator[Remote]:
        """The repository at the registry itself, https before http where both are allowed; mirrors are never written."""
        for endpoint in self._endpoints(reference.domain):
            if not endpoint.is_mirror:
                who = credentials if is_own(endpoint, reference.domain) else ANONYMOUS
                yield self.at(endpoint, reference, who, PUSH)

    def _endpoints(self, domain: str) -> list[Endpoint]:
        """In the order in which to ask them, without the https of a registry known to speak plain http only."""
        planned = plan_endpoints(domain, self.config, hosts_file.find(domain, self.config.certs_dirs))
        *attempts, last = planned
        return [each for each in attempts if each.scheme == "http" or not self._http().speaks_plain(each.host)] + [last]

    def at(self, endpoint: Endpoint, reference: Reference, credentials: Credentials, actions: str) -> Remote:
        """The repository at one endpoint."""
        return Remote(
            http=self._http(),
            endpoint=endpoint,
            path=reference.path,
            authenticator=Authenticator(self._http(), endpoint, credentials),
            policy=MIRROR_POLICY if endpoint.is_mirror and self._policy == DEFAULT_POLICY else self._policy,
            actions=actions,
            limits=self.config.documents,
        )

    def _http(self) -> HTTP:
        """The transport, made when it is first needed."""
        with self._lock:
            if self._transport is None:
                from holdfast.distribution.transport import Transport

                connections = max(self.config.max_concurrent_downloads, self.config.max_concurrent_uploads) + 1
                self._transport = Transport(
                    certs_dirs=self.config.certs_dirs, connections=connections, through=self.config.proxies
                )
            return self._transport
