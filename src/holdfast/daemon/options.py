# SPDX-License-Identifier: Apache-2.0
"""Every option of holdfastd, once: its flag, its key in daemon.json, its kind, its default, its help.

dockerd's names, so that unit files and daemon.json move over unchanged. Options that Holdfast has no use for are accepted
and answered with a warning, unless they promise protection: those refuse the start.
Read by `daemon.flags` and `daemon.config`. Source: dockerd(8) 28.5.
"""

from __future__ import annotations

import msgspec

DEFAULT_DATA_ROOT = "/var/lib/holdfast"
DEFAULT_EXEC_ROOT = "/run/holdfast"
DEFAULT_CONFIG_FILE = "/etc/holdfast/daemon.json"
CERTS_DIRS = ("/etc/holdfast/certs.d", "/etc/docker/certs.d")


_FIELDS = {"default-shm-size": "default_shm_bytes", "shutdown-timeout": "shutdown_seconds"}


class Option(msgspec.Struct, frozen=True):
    """`kind` is text, flag, number, texts (repeatable), pairs (repeatable `key=value`; an object in the file), switches
    (the same with booleans, of which a flag without one is true) or groups (repeatable `name=key=value`; in the file an
    object of objects).
    """

    name: str
    kind: str
    default: object
    help: str
    key: str = ""
    short: str = ""
    is_used: bool = True
    is_refused: bool = False

    @property
    def file_key(self) -> str:
        """The key in daemon.json; `-` marks options that only the command line has."""
        return self.key or self.name

    @property
    def field(self) -> str:
        """The field of `config.Config`: as the key, but for sizes and durations, which name their unit."""
        return _FIELDS.get(self.name) or (self.name if self.key == "-" else self.file_key).replace("-", "_")


USED = (
    Option("add-runtime", "pairs", {}, "Register an additional OCI runtime (NAME=PATH)", key="runtimes"),
    Option("allowed-host", "texts", (), "Name that plain tcp clients may use for this daemon", key="allowed-hosts"),
    Option("bip", "text", "", "Address and prefix of the default bridge"),
    Option("bip6", "text", "", "IPv6 address and prefix of the default bridge"),
    Option("bridge", "text", "holdfast0", "Name of the default bridge", short="b"),
    Option("cgroup-parent", "text", "/docker", "Parent cgroup for all containers"),
    Option("cdi-spec-dir", "texts", ("/etc/cdi", "/var/run/cdi"), "CDI specification directory", key="cdi-spec-dirs"),
    Option(
        "certs-dir",
        "texts",
        CERTS_DIRS,
        "Folders of hosts.toml and certificates, one subfolder per registry",
        key="certs-dirs",
    ),
    Option("config-file", "text", DEFAULT_CONFIG_FILE, "Daemon configuration file", key="-"),
    Option("data-root", "text", DEFAULT_DATA_ROOT, "Root directory of persistent state"),
    Option("debug", "flag", False, "Enable debug mode", short="D"),
    Option(
        "default-address-pool",
        "texts",
        (),
        "Pool for networks without a subnet (base=CIDR,size=N)",
        key="default-address-pools",
    ),
    Option("default-cgroupns-mode", "text", "", "Default cgroup namespace mode (host, private)"),
    Option("default-gateway", "text", "", "Gateway of the default bridge's containers"),
    Option("default-gateway-v6", "text", "", "IPv6 gateway of the default bridge's containers"),
    Option("default-ipc-mode", "text", "private", "Default IPC mode (shareable, private)"),
    Option(
        "default-network-opt",
        "groups",
        {},
        "Options of networks that name none (DRIVER=OPTION=VALUE)",
        key="default-network-opts",
    ),
    Option("default-runtime", "text", "holdfast", "Default OCI runtime for containers"),
    Option("default-shm-size", "text", "64MiB", "Default shm size for containers"),
    Option("default-ulimit", "pairs", {}, "Default ulimits for containers", key="default-ulimits"),
    Option("dns", "texts", (), "DNS server to use"),
    Option("dns-opt", "texts", (), "DNS options to use", key="dns-opts"),
    Option("dns-search", "texts", (), "DNS search domains to use"),
    Option("exec-root", "text", DEFAULT_EXEC_ROOT, "Root directory of state that may vanish at boot"),
    Option("feature", "switches", {}, "Turn a feature on or off (NAME=BOOL); `cdi` is on by itself", key="features"),
    Option("fixed-cidr", "text", "", "Range of the default bridge's subnet that containers get addresses of"),
    Option("fixed-cidr-v6", "text", "", "IPv6 subnet of the default bridge, or the range of it for containers"),
    Option("group", "text", "", "Group of the unix socket (default docker, else holdfast)", short="G"),
    Option("host", "texts", (), "Daemon socket(s) to listen on", key="hosts", short="H"),
    Option("http-proxy", "text", "", "HTTP proxy URL to use for outgoing traffic", key="-"),
    Option("https-proxy", "text", "", "HTTPS proxy URL to use for outgoing traffic", key="-"),
    Option(
        "host-gateway-ip", "text", "", "What host-gateway means in --add-host (default: the default bridge's addresses)"
    ),
    Option("i-know-this-gives-root", "flag", False, "Allow plain tcp beyond loopback: whoever connects is root"),
    Option("icc", "flag", True, "Enable communication between containers of the default bridge"),
    Option("init", "flag", False, "Run an init in every container to forward signals and reap processes"),
    Option("init-path", "text", "", "Path of an init of your own instead of the built-in one"),
    Option("insecure-registry", "texts", (), "Registry to speak plain http with", key="insecure-registries"),
    Option("ip", "text", "0.0.0.0", "Host address for published ports"),
    Option("ip-forward", "flag", True, "Enable IP forwarding in the system"),
    Option("ip-masq", "flag", True, "Enable IP masquerading for the default bridge"),
    Option("ip6tables", "flag", True, "Enable addition of firewall rules for IPv6 (nftables)"),
    Option("iptables", "flag", True, "Enable addition of firewall rules (nftables)"),
    Option("ipv6", "flag", False, "Enable IPv6 in the default bridge"),
    Option("label", "texts", (), "Set key=value labels of the daemon", key="labels"),
    Option("log-driver", "text", "json-file", "Default driver for container logs"),
    Option("log-format", "text", "text", "Logging format (text, json)"),
    Option("log-level", "text", "info", "Logging level (debug, info, warn, error, fatal)", short="l"),
    Option("log-opt", "pairs", {}, "Default log driver options for containers", key="log-opts"),
    Option("max-concurrent-downloads", "number", 3, "Concurrent downloads of a pull"),
    Option("max-concurrent-uploads", "number", 5, "Concurrent uploads of all pushes"),
    Option("max-attributes-size", "text", "1MiB", "Largest extended header of a file in an archive"),
    Option("max-expansion-ratio", "number", 200, "Most that compressed data may expand to, beyond 256 MiB"),
    Option("max-manifest-size", "text", "4MiB", "Largest manifest to take in; an image config may be twice as large"),
    Option("max-unpacked-entries", "number", 2_000_000, "Most files in an archive or layer"),
    Option("max-unpacked-size", "text", "64GiB", "Largest archive or layer, unpacked"),
    Option("mtu", "number", 1500, "MTU of the default bridge"),
    Option("no-new-privileges", "flag", False, "Set no-new-privileges by default for new containers"),
    Option("no-proxy", "text", "", "Comma-separated list of hosts for which the proxy is skipped", key="-"),
    Option("pidfile", "text", "", "File to write the daemon's pid to (default EXEC-ROOT/holdfastd.pid)", short="p"),
    Option("registry-mirror", "texts", (), "Preferred registry mirror", key="registry-mirrors"),
    Option("seccomp-profile", "text", "builtin", 'Path to a seccomp profile, "builtin" or "unconfined"'),
    Option("shutdown-timeout", "number", 15, "Seconds that requests under way get at shutdown"),
    Option("storage-driver", "text", "", "Storage driver to use", short="s"),
    Option("tls", "flag", False, "Use TLS; implied by --tlsverify"),
    Option("tlscacert", "text", "", "Trust certs signed only by this CA (default ~/.docker/ca.pem)"),
    Option("tlscert", "text", "", "TLS certificate file (default ~/.docker/cert.pem)"),
    Option("tlskey", "text", "", "TLS key file (default ~/.docker/key.pem)"),
    Option("tlsverify", "flag", False, "Use TLS and verify the remote"),
    Option("userland-proxy", "flag", True, "Relay IPv6 to published ports where no packet rule can lead it"),
    Option("validate", "flag", False, "Validate the daemon's configuration and exit", key="-"),
    Option("version", "flag", False, "Print version information and quit", key="-", short="v"),
    Option("help", "flag", False, "Print usage", key="-", short="h"),
)

ACCEPTED = (
    Option("containerd", "text", "", "", is_used=False),
    Option("exec-opt", "texts", (), "", key="exec-opts", is_used=False),
    Option("experimental", "flag", False, "", is_used=False),
    Option("live-restore", "flag", True, "", is_used=False),
    Option("max-download-attempts", "number", 5, "", is_used=False),
    Option("raw-logs", "flag", False, "", is_used=False),
    Option("storage-opt", "texts", (), "", key="storage-opts", is_used=False),
    Option("userland-proxy-path", "text", "", "", is_used=False),
)

REFUSED = (
    Option("authorization-plugin", "texts", (), "", key="authorization-plugins", is_used=False, is_refused=True),
    Option("selinux-enabled", "flag", False, "", is_used=False, is_refused=True),
    Option("userns-remap", "text", "", "", is_used=False, is_refused=True),
)

LIVE = (
    "add-runtime",
    "debug",
    "default-cgroupns-mode",
    "default-ipc-mode",
    "default-runtime",
    "default-shm-size",
    "insecure-registry",
    "label",
    "log-level",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "registry-mirror",
    "shutdown-timeout",
)
"""What SIGHUP takes from the file, as dockerd does; the log level besides. What it does not name stays."""

RESET = ("max-concurrent-downloads", "max-concurrent-uploads")
"""Those that SIGHUP sets back when the file does not name them."""

FEATURES = ("cdi",)
"""Those that are anything here."""

PROXIES = ("http-proxy", "https-proxy", "no-proxy")
"""The members of the file's object `proxies`."""
ALL = USED + ACCEPTED + REFUSED
BY_NAME = {option.name: option for option in ALL}
BY_SHORT = {option.short: option for option in ALL if option.short}
BY_KEY = {option.file_key: option for option in ALL if option.file_key != "-"}
