# SPDX-License-Identifier: Apache-2.0
"""Lives beside firewalld: our bridges are put into its zone `trusted`, as an administrator would do it.

firewalld refuses what comes from an interface of no zone, and its table is its own (newer ones lock it), so it must be
asked, over D-Bus: at run time only, which a reload of firewalld forgets and the next look makes good. An interface
that somebody has put into a zone already stays there, whatever that zone lets pass. What comes to containers was led there
by a published port, which firewalld accepts. Which interfaces have a zone is read from its rules: a look at them when all
is well asks nobody. Called by `tables`. Source: firewalld.dbus(5), firewalld 1.3 and 2.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

TABLE, ZONE = "firewalld", "trusted"
_DISPATCHERS = ("filter_FORWARD_ZONES", "filter_FORWARD_IN_ZONES")
_SERVICE, _PATH, _INTERFACE = "org.fedoraproject.FirewallD1", "/org/fedoraproject/FirewallD1", ".zone"
_SETTLED = ("ZONE_ALREADY_SET", "ZONE_CONFLICT", "ALREADY_ENABLED")
_SECONDS = 3.0


class FirewalldError(Exception):
    """firewalld did not do it, in its own words or the bus's."""


def questions(chains: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to list beside the chains themselves, none when there is no firewalld."""
    named = [item["chain"] for item in chains if "chain" in item]
    return [
        f"list chain inet {TABLE} {chain['name']}"
        for chain in named
        if (chain["family"], chain["table"]) == ("inet", TABLE) and chain["name"] in _DISPATCHERS
    ]


def without_zone(listing: Sequence[Mapping[str, Any]], interfaces: Sequence[str]) -> list[str]:
    """Those of our interfaces that firewalld's rules do not name."""
    named: set[str] = set()
    for rule in (item["rule"] for item in listing if "rule" in item):
        if rule["table"] == TABLE and rule["chain"] in _DISPATCHERS:
            named.update(str(each["match"]["right"]) for each in rule["expr"] if "match" in each)
    return [name for name in interfaces if name not in named]


def admit(interfaces: Sequence[str]) -> list[str]:
    """Puts them into the zone; returns those that were in none. Raises FirewalldError."""
    return [name for name in interfaces if _ask("addInterface", name)]


def dismiss(interface: str) -> None:
    """Takes one out again; one that is not in there does not matter. Raises FirewalldError."""
    _ask("removeInterface", interface)


def _ask(method: str, interface: str) -> bool:
    """False when it is so already. A firewalld that does not run is not started."""
    kind, texts = _call(method, interface)
    if not kind:
        return True
    if texts.startswith(_SETTLED) or (method == "removeInterface" and kind.startswith(_SERVICE)):
        return False
    raise FirewalldError(texts or kind)


def _call(method: str, interface: str) -> tuple[str, str]:
    """The kind of error that was answered, empty for none, and its text."""
    import jeepney  # few hosts have a firewalld
    from jeepney.io.blocking import open_dbus_connection

    address = jeepney.DBusAddress(_PATH, bus_name=_SERVICE, interface=_SERVICE + _INTERFACE)
    call: Any = jeepney.new_method_call(address, method, "ss", (ZONE, interface))  # pyright: ignore[reportUnknownMemberType]
    call.header.flags |= jeepney.MessageFlag.no_auto_start
    try:
        connection: Any = open_dbus_connection("SYSTEM")
        with connection:
            answer: Any = connection.send_and_get_reply(call, timeout=_SECONDS)
    except OSError as error:
        raise FirewalldError((error.strerror or str(error) or "no answer").lower()) from error
    except (KeyError, ValueError) as error:
        raise FirewalldError(f"no bus: {error}") from error
    fields: dict[Any, str] = answer.header.fields
    return fields.get(jeepney.HeaderFields.error_name, ""), " ".join(str(part) for part in answer.body)
