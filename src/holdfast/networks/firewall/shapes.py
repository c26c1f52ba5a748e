# SPDX-License-Identifier: Apache-2.0
"""What the two tables look like: sets and maps, and the chains that read them, which never change. Pure.

A network is a few set elements, a published port is one map element, so a change never touches a rule.

How a packet travels through table `inet holdfast`:
* `guard` (raw): nothing that comes in through a bridge may speak to 127.0.0.0/8; the bridges have route_localnet, which
  the answers to connections from the host's own 127.0.0.1 need. (What comes with ::1 the kernel drops by itself.)
* `publish_in`, `publish_out` (nat): a connection to a published address and port of the host is led to its container.
  From outside loopback addresses are never looked up, so a port published there cannot be reached by routing.
  What the host says to ::1 is left to `networks.relay`: the kernel lets no answer with that address in by a bridge.
* `user`: the administrator's own rules; made empty once and never touched again. First of all in `forward`.
* `forward`: into a bridge goes what belongs to a known connection, what was led there by a published port, what comes
  from the same bridge (without inter-container communication: from a linked container to an exposed port), and what a
  network in another gateway mode lets in; all else is dropped, whatever other tables accept.
* `source` (nat): containers leave with the host's address; a container that reaches its own bridge through a published
  port, and the host's loopback, get the bridge's address, or the answer would not come back through the translation.

Table `bridge holdfast` sees the frames between two ports of one bridge, which never reach the first table:
* `identity`: a bridge port that is guarded against spoofing speaks with its own MAC and addresses only.
That containers of a bridge without inter-container communication exchange no frames is the bridge's own doing (its
ports are isolated, see `drivers.bridge`).
"""

from __future__ import annotations

from dataclasses import dataclass

IFNAME, PROTOCOL, PORT, IPV4, IPV6, MAC = (
    "ifname",
    "inet_proto",
    "inet_service",
    "ipv4_addr",
    "ipv6_addr",
    "ether_addr",
)
USER_CHAIN = "user"


@dataclass(frozen=True, slots=True)
class SetShape:
    """A set, or with `value` types a map."""

    key: tuple[str, ...]
    value: tuple[str, ...] = ()
    is_interval: bool = False

    @property
    def kind(self) -> str:
        return "map" if self.value else "set"

    @property
    def text(self) -> str:
        leads = f" : {' . '.join(self.value)}" if self.value else ""
        return f"{{ type {' . '.join(self.key)}{leads};{' flags interval;' if self.is_interval else ''} }}"


@dataclass(frozen=True, slots=True)
class ChainShape:
    """A chain at a hook of the kernel; without a hook one that others jump to, and that is the administrator's."""

    hook: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableShape:
    family: str
    sets: dict[str, SetShape]
    chains: dict[str, ChainShape]


PACKETS = TableShape(
    "inet",
    {
        "bridges": SetShape((IFNAME,)),
        "talking": SetShape((IFNAME, IFNAME)),
        "linked": SetShape((IFNAME, IPV4, IPV4, PROTOCOL, PORT)),
        "closed": SetShape((IFNAME,)),
        "open4": SetShape((IFNAME,)),
        "open6": SetShape((IFNAME,)),
        "pinged4": SetShape((IFNAME,)),
        "pinged6": SetShape((IFNAME,)),
        "routed4": SetShape((IPV4, PROTOCOL, PORT)),
        "routed6": SetShape((IPV6, PROTOCOL, PORT)),
        "masqueraded": SetShape((IPV4,), is_interval=True),
        "masqueraded6": SetShape((IPV6,), is_interval=True),
        "leaving": SetShape((IPV4,), (IPV4,), is_interval=True),
        "leaving6": SetShape((IPV6,), (IPV6,), is_interval=True),
        "ports": SetShape((IPV4, PROTOCOL, PORT), (IPV4, PORT)),
        "ports_any": SetShape((PROTOCOL, PORT), (IPV4, PORT)),
        "ports6": SetShape((IPV6, PROTOCOL, PORT), (IPV6, PORT)),
        "ports6_any": SetShape((PROTOCOL, PORT), (IPV6, PORT)),
    },
    {
        "guard": ChainShape(
            "type filter hook prerouting priority raw; policy accept;",
            ("ip daddr 127.0.0.0/8 iifname @bridges drop", "ip saddr 127.0.0.0/8 iifname @bridges drop"),
        ),
        "publish_in": ChainShape(
            "type nat hook prerouting priority dstnat; policy accept;",
            (
                "ip daddr 127.0.0.0/8 return",
                "ip6 daddr ::1 return",
                "fib daddr type != local return",
                "meta nfproto ipv4 dnat ip to ip daddr . meta l4proto . th dport map @ports",
                "meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports_any",
                "meta nfproto ipv6 dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6",
                "meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @ports6_any",
            ),
        ),
        "publish_out": ChainShape(
            "type nat hook output priority -100; policy accept;",
            (
                "ip6 daddr ::1 return",
                "fib daddr type != local return",
                "meta nfproto ipv4 dnat ip to ip daddr . meta l4proto . th dport map @ports",
                "meta nfproto ipv4 dnat ip to meta l4proto . th dport map @ports_any",
                "meta nfproto ipv6 dnat ip6 to ip6 daddr . meta l4proto . th dport map @ports6",
                "meta nfproto ipv6 dnat ip6 to meta l4proto . th dport map @ports6_any",
            ),
        ),
        USER_CHAIN: ChainShape(""),
        "forward": ChainShape(
            "type filter hook forward priority filter; policy accept;",
            (
                f"jump {USER_CHAIN}",
                "ct state established,related accept",
                "iifname . oifname @talking accept",
                "iifname . ip saddr . ip daddr . meta l4proto . th dport @linked accept",
                "iifname @closed drop",
                "oifname @closed drop",
                "oifname @bridges ct status dnat accept",
                "oifname @bridges ip daddr . meta l4proto . th dport @routed4 accept",
                "oifname @bridges ip6 daddr . meta l4proto . th dport @routed6 accept",
                "meta nfproto ipv4 oifname @open4 accept",
                "meta nfproto ipv6 oifname @open6 accept",
                "oifname @pinged4 ip protocol icmp accept",
                "oifname @pinged6 meta l4proto ipv6-icmp accept",
                "oifname @bridges drop",
                "iifname @bridges accept",
            ),
        ),
        "source": ChainShape(
            "type nat hook postrouting priority srcnat; policy accept;",
            (
                "oifname != @bridges snat ip to ip saddr map @leaving",
                "oifname != @bridges snat ip6 to ip6 saddr map @leaving6",
                "oifname != @bridges ip saddr @masqueraded masquerade",
                "oifname != @bridges ip6 saddr @masqueraded6 masquerade",
                "oifname @bridges ip saddr 127.0.0.0/8 masquerade",
                "oifname @bridges ct status dnat ip saddr @masqueraded masquerade",
                "oifname @bridges ct status dnat ip6 saddr @masqueraded6 masquerade",
            ),
        ),
    },
)

FRAMES = TableShape(
    "bridge",
    {
        "guarded": SetShape((IFNAME,)),
        "macs": SetShape((IFNAME, MAC)),
        "bindings": SetShape((IFNAME, IPV4)),
        "bindings6": SetShape((IFNAME, IPV6)),
    },
    {
        "identity": ChainShape(
            "type filter hook prerouting priority -300; policy accept;",
            (
                "iifname != @guarded accept",
                "iifname . ether saddr != @macs drop",
                "ether type arp arp saddr ether != 00:00:00:00:00:00 iifname . arp saddr ether != @macs drop",
                "ether type arp iifname . arp saddr ip @bindings accept",
                "ether type arp arp saddr ip 0.0.0.0 accept",
                "ether type ip iifname . ip saddr @bindings accept",
                "ether type ip6 iifname . ip6 saddr @bindings6 accept",
                "ether type ip6 ip6 saddr :: accept",
                "ether type ip6 ip6 saddr fe80::/10 accept",
                "drop",
            ),
        ),
    },
)
SHAPES = (PACKETS, FRAMES)
