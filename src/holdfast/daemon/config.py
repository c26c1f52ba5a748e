# SPDX-License-Identifier: Apache-2.0
"""The daemon's configuration as one typed value: flags over daemon.json over defaults.

An option given in both places, an unknown key or a value of the wrong shape refuses the start, in dockerd's words.
Reads one file and touches nothing else. Called by `daemon.main`; read by `daemon.wiring`. Source: dockerd 28.5.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from holdfast.daemon import caps, flags, network_options, options, sandbox_options
from holdfast.daemon.options import Option
from holdfast.distribution import proxies
from holdfast.distribution.proxies import Proxies
from holdfast.errors import InvalidArgument
from holdfast.transport import listener

LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
RUNTIMES = ("holdfast", "runc", "crun")


class TLSConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Where the certificates are, and whether a client must show one."""

    ca: str
    certificate: str
    key: str
    verify: bool


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What the daemon was asked to be; paths are absolute."""

    data_root: str = options.DEFAULT_DATA_ROOT
    exec_root: str = options.DEFAULT_EXEC_ROOT
    pidfile: str = options.DEFAULT_EXEC_ROOT + "/holdfastd.pid"
    hosts: tuple[str, ...] = ("unix://" + listener.DEFAULT_UNIX,)
    group: str = ""
    allowed_hosts: tuple[str, ...] = ()
    allow_plain_tcp: bool = False
    config_file: str = options.DEFAULT_CONFIG_FILE
    tls: TLSConfig | None = None
    debug: bool = False
    log_level: str = "info"
    log_format: str = "text"
    storage_driver: str = ""
    default_runtime: str = "holdfast"
    runtimes: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict[str, tuple[str, ...]])
    log_driver: str = "json-file"
    log_opts: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    bridge: str = "holdfast0"
    bip: str = ""
    mtu: int = 1500
    fixed_cidr: str = ""
    default_gateway: str = ""
    ipv6: bool = False
    bip6: str = ""
    fixed_cidr_v6: str = ""
    default_gateway_v6: str = ""
    default_address_pools: tuple[tuple[str, int], ...] = ()
    default_network_opts: dict[str, dict[str, str]] = {}
    host_gateway_ip: str = ""
    dns: tuple[str, ...] = ()
    dns_opts: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    icc: bool = True
    iptables: bool = True
    ip6tables: bool = True
    userland_proxy: bool = True
    ip_forward: bool = True
    ip_masq: bool = True
    ip: str = "0.0.0.0"
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    max_concurrent_downloads: int = 3
    max_concurrent_uploads: int = 5
    certs_dirs: tuple[str, ...] = options.CERTS_DIRS
    labels: tuple[str, ...] = ()
    cgroup_parent: str = "/docker"
    default_shm_bytes: int = 64 << 20
    shutdown_seconds: int = 15
    cdi_spec_dirs: tuple[str, ...] = ()
    default_cgroupns_mode: str = ""
    default_ipc_mode: str = "private"
    default_ulimits: Mapping[str, tuple[int, int]] = msgspec.field(default_factory=dict[str, tuple[int, int]])
    init: bool = False
    init_path: str = ""
    no_new_privileges: bool = False
    seccomp_profile: str = "builtin"
    proxies: Proxies = Proxies()
    max_unpacked_bytes: int = 64 << 30
    max_unpacked_entries: int = 2_000_000
    max_expansion_ratio: int = 200
    max_manifest_bytes: int = 4 << 20
    max_attributes_bytes: int = 1 << 20
    ignored: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[listener.Address, ...]:
        """Where to listen."""
        return tuple(listener.parse(host, default_port=2376 if self.tls else 2375) for host in self.hosts)


def load(arguments: Sequence[str]) -> tuple[Config, dict[str, object]]:
    """The configuration, and the flags as given (for --help, --version, --validate, `reload`). InvalidArgument refuses."""
    given = flags.parse(arguments)
    from_file = _read_without_conflict(given)
    values = {option.name: option.default for option in options.ALL} | from_file | given
    ignored = tuple(name for name in (*from_file, *given) if not options.BY_NAME[name].is_used)
    features = cast("Mapping[str, object]", values["feature"])
    for name in ignored:
        if options.BY_NAME[name].is_refused and values[name] != options.BY_NAME[name].default:
            raise InvalidArgument(f"{name} is not implemented by Holdfast yet: starting without it would be less safe")
    return make(values, (*ignored, *(f"feature={name}" for name in features if name not in options.FEATURES))), given


def reload(current: Config, given: Mapping[str, object]) -> Config:
    """The configuration with what the file now says of options that may change in a running daemon (`options.LIVE`).

    What the file does not name stays as it is, but for `options.RESET`. InvalidArgument when anything in the file is
    wrong.
    """
    from_file = _read_without_conflict(given)
    whole = make({**{option.name: option.default for option in options.ALL}, **from_file, **given})
    named = [options.BY_NAME[name].field for name in options.LIVE if name in from_file or name in options.RESET]
    if "debug" in from_file:
        named.append("log_level")
    changed = msgspec.structs.replace(current, **{field: getattr(whole, field) for field in named})
    _validate(changed)
    return changed


def _read_without_conflict(given: Mapping[str, object]) -> dict[str, object]:
    path = str(given.get("config-file", options.DEFAULT_CONFIG_FILE))
    try:
        from_file = read_file(path, must_exist="config-file" in given)
        _check_conflicts(given, from_file)
    except InvalidArgument as error:
        raise InvalidArgument(f"unable to configure the Docker daemon with file {path}: {error.message}") from None
    return from_file


def read_file(path: str, *, must_exist: bool) -> dict[str, object]:
    """The options in a daemon.json, by flag name; empty when there is no file and none was asked for."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        if must_exist:
            raise InvalidArgument(f"open {path}: no such file or directory") from None
        return {}
    except OSError as error:
        raise InvalidArgument(f"open {path}: {(error.strerror or 'error').lower()}") from None
    try:
        document: object = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument("invalid JSON: the file does not hold an object")
    entries = cast("dict[str, object]", document)
    nested = _take_proxies(entries)
    unknown = [key for key in entries if key not in options.BY_KEY]
    if unknown:
        raise InvalidArgument(f"the following directives don't match any configuration option: {', '.join(unknown)}")
    told = {key: value for key, value in entries.items() if value is not None}  # null is as if it were not there
    found = {options.BY_KEY[key].name: _from_json(options.BY_KEY[key], value) for key, value in told.items()}
    return found | nested


def _take_proxies(entries: dict[str, object]) -> dict[str, object]:
    """The members of `proxies`, which are options of the command line by themselves."""
    given = entries.pop("proxies", None)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise InvalidArgument("invalid JSON: cannot unmarshal proxies into type Proxies")
    members = cast("dict[str, object]", given)
    unknown = [key for key in members if key not in options.PROXIES]
    if unknown:
        raise InvalidArgument(f"the following directives don't match any configuration option: {', '.join(unknown)}")
    return {key: _from_json(options.BY_NAME[key], value) for key, value in members.items() if value is not None}


def _from_json(option: Option, value: object) -> object:
    names = {
        "text": "string",
        "flag": "bool",
        "number": "int",
        "texts": "[]string",
        "pairs": "map[string]string",
        "switches": "map[string]bool",
        "groups": "map[string]map[string]string",
    }
    kinds = {"text": str, "flag": bool, "number": int, "texts": list}
    wanted = kinds.get(option.kind, dict)
    values = cast("dict[str, object]", value).values() if option.kind == "switches" and isinstance(value, dict) else ()
    is_wrong = not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))
    if is_wrong or not all(isinstance(each, bool) for each in values):
        raise InvalidArgument(
            f"invalid JSON: cannot unmarshal {json.dumps(value)[:40]} into {option.file_key} of type {names[option.kind]}"
        )
    if isinstance(value, list) and option.is_used:
        return tuple(network_options.shown_pool(item) for item in cast("list[object]", value))
    return cast("object", value)


def _check_conflicts(given: Mapping[str, object], from_file: Mapping[str, object]) -> None:
    both = [
        f"{_file_name(name)}: (from flag: {_shown(given[name], name)}, from file: {_shown(from_file[name], name)})"
        for name in from_file
        if name in given
    ]
    if both:
        raise InvalidArgument(
            "the following directives are specified both as a flag and in the configuration file: " + ", ".join(both)
        )


def _file_name(name: str) -> str:
    return name if name in options.PROXIES else options.BY_NAME[name].file_key


def _shown(value: object, name: str) -> str:
    if name in options.PROXIES:
        return proxies.masked(str(value))
    if isinstance(value, tuple):
        return f"[{' '.join(cast('tuple[str, ...]', value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def make(values: Mapping[str, object], ignored: tuple[str, ...] = ()) -> Config:
    """The typed value of options by flag name; InvalidArgument names the option that is wrong.

    A field has the name of its option's key in daemon.json; `_converted` has those whose values are not as given.
    """
    plain = {options.BY_NAME[name].field: value for name, value in values.items()}
    fields = {name: plain[name] for name in Config.__struct_fields__ if name in plain}
    try:
        config = msgspec.convert(fields | _converted(values) | {"ignored": ignored}, Config)
    except msgspec.ValidationError as error:
        raise InvalidArgument(f"invalid configuration: {error}") from None
    _validate(config)
    return config


def _converted(values: Mapping[str, object]) -> dict[str, object]:
    def text(name: str) -> str:
        return str(values[name])

    def number(name: str) -> int:
        return cast("int", values[name])

    def count(name: str) -> int:
        if number(name) < 0:
            raise InvalidArgument(f"invalid {name.replace('-', ' ')}: {number(name)}")
        return max(1, number(name))

    def pairs(name: str) -> Mapping[str, object]:
        return cast("Mapping[str, object]", values[name])

    exec_root = os.path.abspath(text("exec-root"))
    return {
        "data_root": os.path.abspath(text("data-root")),
        "exec_root": exec_root,
        "pidfile": os.path.abspath(text("pidfile") or os.path.join(exec_root, "holdfastd.pid")),
        "hosts": values["host"] or ("unix://" + listener.DEFAULT_UNIX,),
        "allow_plain_tcp": values["i-know-this-gives-root"],
        "tls": _tls(values),
        "log_level": "debug" if values["debug"] else text("log-level"),
        "runtimes": _runtimes(pairs("add-runtime")),
        "log_opts": {key: str(value) for key, value in pairs("log-opt").items()},
        "default_address_pools": network_options.parse_pools(cast("Sequence[str]", values["default-address-pool"])),
        "mtu": number("mtu") or 1500,
        "registry_mirrors": tuple(
            f"{text.removesuffix('/')}/" for text in cast("Sequence[str]", values["registry-mirror"])
        ),
        "insecure_registries": network_options.registries(cast("Sequence[str]", values["insecure-registry"])),
        "max_concurrent_downloads": count("max-concurrent-downloads"),
        "max_concurrent_uploads": count("max-concurrent-uploads"),
        "default_shm_bytes": parse_bytes(text("default-shm-size")),
        "shutdown_seconds": number("shutdown-timeout"),
        "cdi_spec_dirs": _cdi_spec_dirs(values),
        "default_ulimits": sandbox_options.parse_ulimits(pairs("default-ulimit")),
        "seccomp_profile": text("seccomp-profile") or "builtin",
        "proxies": Proxies(*(text(name) for name in options.PROXIES)),
        "max_unpacked_bytes": parse_bytes(text("max-unpacked-size")),
        "max_manifest_bytes": parse_bytes(text("max-manifest-size")),
        "max_attributes_bytes": parse_bytes(text("max-attributes-size")),
    }


def _cdi_spec_dirs(values: Mapping[str, object]) -> tuple[str, ...]:
    """None where they are one empty text, or where the feature is off."""
    found = cast("tuple[str, ...]", values["cdi-spec-dir"])
    is_on = cast("Mapping[str, object]", values["feature"]).get("cdi", True)
    return found if is_on and found != ("",) else ()


def _tls(values: Mapping[str, object]) -> TLSConfig | None:
    if not (values["tls"] or values["tlsverify"]):
        return None
    home = os.environ.get("DOCKER_CERT_PATH") or os.path.join(os.path.expanduser("~"), ".docker")
    return TLSConfig(
        ca=str(values["tlscacert"]) or os.path.join(home, "ca.pem"),
        certificate=str(values["tlscert"]) or os.path.join(home, "cert.pem"),
        key=str(values["tlskey"]) or os.path.join(home, "key.pem"),
        verify=bool(values["tlsverify"]),
    )


def _runtimes(given: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Name to command; the file's form is `{"name": {"path": "...", "runtimeArgs": [...]}}`, the flag's `name=path`."""
    found: dict[str, tuple[str, ...]] = {}
    for name, value in given.items():
        if name == "runc":
            raise InvalidArgument("runtime name 'runc' is reserved")
        given_as = cast("Mapping[str, object]", value if isinstance(value, Mapping) else {"path": value})
        path, words = given_as.get("path"), given_as.get("runtimeArgs") or ()
        if given_as.get("runtimeType") or given_as.get("options"):
            raise InvalidArgument(f"runtime {name}: runtimeType and options are containerd's: Holdfast needs a path")
        if not isinstance(path, str) or not path:
            raise InvalidArgument(f"runtime {name}: either a runtimeType or a path must be configured")
        if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in cast("list[object]", words)):
            raise InvalidArgument(f"runtime {name}: runtimeArgs must be a list of strings")
        found[name] = (path, *cast("list[str]", words))
    return found


def parse_bytes(text: str) -> int:
    """`64MiB`, `64m`, `67108864`: a size with binary units. InvalidArgument `invalid size`."""
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    shift = {"k": 10, "m": 20, "g": 30, "t": 40}.get(number[-1:], 0)
    digits = number[:-1] if shift else number
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(digits) << shift


def _validate(config: Config) -> None:
    if config.log_level not in LOG_LEVELS:
        raise InvalidArgument(f"invalid logging level: {config.log_level}")
    if config.log_format not in ("text", "json"):
        raise InvalidArgument(f"invalid log format: {config.log_format}")
    if config.default_runtime not in (*RUNTIMES, *config.runtimes):
        raise InvalidArgument(f"specified default runtime {config.default_runtime!r} does not exist")
    sandbox_options.check_modes(config.default_ipc_mode, config.default_cgroupns_mode)
    caps.check(config)
    proxies.check(config.proxies)
    for label in config.labels:
        if label.find("=") < 1:
            raise InvalidArgument(f"bad attribute format: {label}")
    for text in (*config.dns, config.host_gateway_ip, config.ip, config.default_gateway, config.default_gateway_v6):
        if text and not _is_address(text):
            raise InvalidArgument(f"invalid IP address: {text}")
    network_options.check_fixed_cidr(config.fixed_cidr, config.bip)
    network_options.check_ipv6(config.fixed_cidr_v6, config.bip6)
    if not 68 <= config.mtu <= 65535:
        raise InvalidArgument(f"invalid default MTU: {config.mtu}")
    for address in config.addresses:
        if address.scheme == "tcp" and not (config.tls or address.is_loopback or config.allow_plain_tcp):
            raise InvalidArgument(
                f"{address} without TLS gives everybody who can connect root on this machine: use --tlsverify, "
                "a loopback address, or --i-know-this-gives-root"
            )


def _is_address(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except OSError:
        return False
    return True
