# SPDX-License-Identifier: Apache-2.0
"""Flags over daemon.json over defaults."""

import json
import re

import msgspec
import pytest

from holdfast.content import compression
from holdfast.daemon import caps, config, sandbox_options
from holdfast.distribution import proxies
from holdfast.errors import InvalidArgument
from holdfast.oci import strict
from holdfast.snapshots import tar


@pytest.fixture
def write(tmp_path):
    def write_file(document):
        path = tmp_path / "daemon.json"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return ["--config-file", str(path)]

    return write_file


def load(*words):
    return config.load([*words] if "--config-file" in words else ["--config-file=/dev/null", *words])[0]


def refusal(*words):
    with pytest.raises(InvalidArgument) as caught:
        load(*words)
    return caught.value.message


def test_defaults():
    found = load()

    assert (found.data_root, found.exec_root) == ("/var/lib/holdfast", "/run/holdfast")
    assert found.pidfile == "/run/holdfast/holdfastd.pid"
    assert [str(address) for address in found.addresses] == ["unix:///var/run/docker.sock"]
    assert (found.log_driver, found.mtu, found.icc, found.tls) == ("json-file", 1500, True, None)


def test_flags_and_file_join(write):
    found = load(*write({"log-driver": "none", "dns": ["1.1.1.1"], "log-opts": {"max-size": "1m"}}), "--mtu=1400")

    assert (found.log_driver, found.dns, found.mtu, found.log_opts) == ("none", ("1.1.1.1",), 1400, {"max-size": "1m"})


def test_null_in_the_file_is_as_if_it_were_not_there(write):
    nothing = dict.fromkeys(("max-concurrent-uploads", "labels", "log-opts", "debug", "hosts", "proxies", "runtimes"))

    assert load(*write(nothing | {"mtu": 1400})) == load(*write({"mtu": 1400}))
    assert load(*write({"proxies": {"http-proxy": None}})) == load(*write({}))
    assert "don't match any configuration option: foo" in refusal(*write({"foo": None}))


def test_an_option_in_both_places_refuses_the_start(write):
    text = refusal(*write({"debug": True, "hosts": ["unix:///x"], "mtu": 1400}), "--debug", "-H", "unix:///y")

    assert text.endswith(
        "the following directives are specified both as a flag and in the configuration file: "
        "debug: (from flag: true, from file: true), hosts: (from flag: [unix:///y], from file: [unix:///x])"
    )


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"foo": 1}, "the following directives don't match any configuration option: foo"),
        ({"config-file": "/x"}, "the following directives don't match any configuration option: config-file"),
        ({"debug": 3}, "cannot unmarshal 3 into debug of type bool"),
        ({"mtu": True}, "cannot unmarshal true into mtu of type int"),
        ({"features": {"cdi": "yes"}}, "into features of type map[string]bool"),
        ({"hosts": "x"}, 'cannot unmarshal "x" into hosts of type []string'),
        ("[]", "does not hold an object"),
        ("{", "invalid JSON"),
        ("[" * 100000, "invalid JSON"),
    ],
)
def test_a_wrong_file_refuses_the_start(write, document, text):
    assert text in refusal(*write(document))


def test_a_missing_file_matters_only_when_it_was_named(tmp_path):
    assert "no such file or directory" in refusal("--config-file", str(tmp_path / "none.json"))


@pytest.mark.parametrize("word", ["--selinux-enabled", "--userns-remap=default"])
def test_protection_that_is_not_built_refuses_the_start(word):
    assert "is not implemented by Holdfast yet: starting without it would be less safe" in refusal(word)


def test_dockerds_other_keys_are_accepted_and_named(write):
    found = load(*write({"features": {"buildkit": True}, "live-restore": False, "storage-opts": ["x=y"]}))

    assert found.ignored == ("live-restore", "storage-opt", "feature=buildkit")
    assert load("--feature=cdi", "--feature", "containerd-snapshotter=false").ignored == (
        "feature=containerd-snapshotter",
    )


@pytest.mark.parametrize(
    ("document", "words", "directories"),
    [
        ({}, [], ("/etc/cdi", "/var/run/cdi")),
        ({"features": {"cdi": True}}, ["--cdi-spec-dir=/a", "--cdi-spec-dir=/b"], ("/a", "/b")),
        ({"cdi-spec-dirs": []}, [], ()),
        ({}, ["--cdi-spec-dir="], ()),
        ({}, ["--feature=cdi=false"], ()),
        ({"features": {"cdi": False}}, ["--cdi-spec-dir=/a"], ()),
    ],
)
def test_where_cdi_devices_are_described_and_how_to_turn_them_off(write, document, words, directories):
    assert load(*write(document), *words).cdi_spec_dirs == directories


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--log-level=loud"], "invalid logging level: loud"),
        (["--label=x"], "bad attribute format: x"),
        (["--dns=x"], "invalid IP address: x"),
        (["--mtu=1"], "invalid default MTU: 1"),
        (["--ip=1.2.3"], "invalid IP address: 1.2.3"),
        (["--max-concurrent-downloads=-1"], "invalid max concurrent downloads: -1"),
        (["--default-ulimit=foo=1"], "invalid ulimit type: foo"),
        (["--insecure-registry=a/b"], "insecure registry a/b is not valid"),
        (["--default-runtime=x"], "specified default runtime 'x' does not exist"),
        (["--default-shm-size=big"], "invalid size: 'big'"),
        (["-H", "npipe://x"], "invalid bind address (npipe://x): unsupported proto 'npipe'"),
    ],
)
def test_wrong_values_name_themselves(words, text):
    assert refusal(*words) == text


def test_plain_tcp_needs_loopback_or_consent():
    assert "gives everybody who can connect root" in refusal("-H", "tcp://0.0.0.0:2375")
    assert load("-H", "tcp://127.0.0.1:2375").addresses[0].port == 2375
    assert load("-H", "tcp://0.0.0.0:2375", "--i-know-this-gives-root").addresses[0].host == "0.0.0.0"


def test_tls_changes_the_default_port_and_finds_the_usual_files(monkeypatch):
    monkeypatch.setenv("DOCKER_CERT_PATH", "/certs")

    found = load("-H", "tcp://0.0.0.0", "--tlsverify", "--tlskey=/k.pem")

    assert found.addresses[0].port == 2376
    assert found.tls == config.TLSConfig(ca="/certs/ca.pem", certificate="/certs/cert.pem", key="/k.pem", verify=True)


def test_runtimes_come_in_two_forms(write):
    found = load(*write({"runtimes": {"crun": {"path": "/usr/bin/crun", "runtimeArgs": []}}}))

    assert found.runtimes == {"crun": ("/usr/bin/crun",)}
    assert load("--add-runtime", "mine=/m", "--default-runtime", "mine").runtimes == {"mine": ("/m",)}


def test_a_runtime_may_have_arguments(write):
    found = load(*write({"runtimes": {"loud": {"path": "/r", "runtimeArgs": ["--debug", "a b"]}}}))

    assert found.runtimes == {"loud": ("/r", "--debug", "a b")}


@pytest.mark.parametrize(
    ("runtime", "complaint"),
    [
        ({"runc": {"path": "/r"}}, "runtime name 'runc' is reserved"),
        ({"x": {}}, "runtime x: either a runtimeType or a path must be configured"),
        ({"x": {"runtimeType": "io.containerd.kata.v2"}}, "runtime x: runtimeType and options are containerd's"),
        ({"x": {"path": "/r", "runtimeArgs": [1]}}, "runtime x: runtimeArgs must be a list of strings"),
        ({"x": {"path": "/r", "runtimeArgs": 1}}, "runtime x: runtimeArgs must be a list of strings"),
    ],
)
def test_a_runtime_that_cannot_be_is_refused(write, runtime, complaint):
    assert complaint in refusal(*write({"runtimes": runtime}))


def test_a_reload_takes_what_the_file_names_and_leaves_the_rest(tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text('{"labels": ["a=1"], "shutdown-timeout": 3, "mtu": 1400}')
    first, given = config.load(["--config-file", str(file), "--max-concurrent-downloads", "7"])
    first = msgspec.structs.replace(first, max_concurrent_uploads=9)
    file.write_text('{"labels": ["a=2"], "debug": true, "mtu": 1300, "registry-mirrors": ["https://m"]}')

    now = config.reload(first, given)

    assert (now.labels, now.registry_mirrors, now.debug, now.log_level) == (("a=2",), ("https://m/",), True, "debug")
    assert (now.shutdown_seconds, now.mtu) == (3, 1400)
    assert (now.max_concurrent_downloads, now.max_concurrent_uploads) == (7, 5)


def test_a_reload_is_refused_as_a_whole(tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text("{}")
    first, given = config.load(["--config-file", str(file), "--label", "a=1"])
    for document, complaint in (
        ('{"labels": ["b=1"]}', "specified both as a flag and in the configuration file: labels"),
        ('{"debug": true, "default-runtime": "nosuch"}', "specified default runtime 'nosuch' does not exist"),
        ('{"debug": true, "mtu": 5}', "invalid default MTU: 5"),
        ("{", "invalid JSON"),
    ):
        file.write_text(document)
        with pytest.raises(InvalidArgument, match=re.escape(complaint)):
            config.reload(first, given)


@pytest.mark.parametrize(
    ("text", "size"), [("64MiB", 64 << 20), ("64m", 64 << 20), ("1gb", 1 << 30), ("5", 5), ("1k", 1024)]
)
def test_sizes_have_binary_units(text, size):
    assert config.parse_bytes(text) == size


def test_an_insecure_registry_is_a_host_or_a_range():
    given = ["http://one.test", "HTTPS://two.test:5000", "three.test", "10.1.0.0/16"]

    found = load(*(f"--insecure-registry={text}" for text in given)).insecure_registries

    assert found == ("one.test", "two.test:5000", "three.test", "10.1.0.0/16")


def test_default_ulimits_of_the_flag_and_of_the_file(tmp_path):
    file = tmp_path / "daemon.json"
    file.write_text('{"default-ulimits": {"nofile": {"Name": "nofile", "Soft": 5, "Hard": 9}}}')

    assert load("--default-ulimit=nofile=10:20", "--default-ulimit=core=-1").default_ulimits == {
        "nofile": (10, 20),
        "core": (-1, -1),
    }
    assert load("--config-file", str(file)).default_ulimits == {"nofile": (5, 9)}


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--default-ulimit=nofile=x", "invalid default ulimit nofile: x"),
        ("--default-ulimit=nofile=9:5", "soft limit must be less than or equal to hard limit: 9 > 5"),
        ("--default-ipc-mode=host", "is not supported as default value"),
        ("--default-cgroupns-mode=x", "default cgroup namespace mode (x) is invalid"),
    ],
)
def test_a_wrong_default_for_sandboxes_refuses_the_start(word, text):
    assert text in refusal(word)


def test_a_seccomp_profile_is_a_file_or_a_word(tmp_path):
    (tmp_path / "p.json").write_text('{"defaultAction": "SCMP_ACT_LOG"}')

    read = sandbox_options.read(str(tmp_path / "p.json"), no_new_privileges=True)

    assert (read.seccomp, read.seccomp_profile) == ("", {"defaultAction": "SCMP_ACT_LOG"})
    assert read.no_new_privileges
    assert sandbox_options.read("unconfined", no_new_privileges=False).seccomp == "unconfined"
    with pytest.raises(InvalidArgument, match="opening seccomp profile"):
        sandbox_options.read(str(tmp_path / "nosuch"), no_new_privileges=False)


def test_proxies_of_the_flags_and_of_the_file(write):
    given = {"http-proxy": "http://p:1", "no-proxy": "localhost,.example"}

    assert load(*write({"proxies": given}), "--https-proxy=http://s:2").proxies == (
        "http://p:1",
        "http://s:2",
        "localhost,.example",
    )


def test_a_proxy_in_both_places_is_told_without_its_password(write):
    text = refusal(*write({"proxies": {"http-proxy": "http://a:secret@p"}}), "--http-proxy=http://b:secret@q")

    assert "http-proxy: (from flag: http://xxxxx:xxxxx@q, from file: http://xxxxx:xxxxx@p)" in text


def test_variables_that_differ_from_the_configuration_are_told_without_passwords():
    environment = {"HTTP_PROXY": "http://a:b@old:1", "https_proxy": "http://same:2", "no_proxy": "x", "NO_PROXY": ""}
    chosen = load("--http-proxy=http://c:d@new:1", "--https-proxy=http://same:2", "--no-proxy=y").proxies

    assert proxies.overridden(chosen, environment) == [
        ("HTTP_PROXY", "http://xxxxx:xxxxx@old:1", "http://xxxxx:xxxxx@new:1"),
        ("no_proxy", "x", "y"),
    ]


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"proxies": "http://p"}, "cannot unmarshal proxies"),
        ({"proxies": {"http-proxy": 1}}, "cannot unmarshal 1 into"),
        ({"proxies": {"http_proxy": "x"}}, "don't match any configuration option: http_proxy"),
        ({"http-proxy": "http://p"}, "don't match any configuration option: http-proxy"),
        ({"proxies": {"http-proxy": "socks5://p"}}, 'invalid proxy: "socks5://p" is not an http or https URL'),
    ],
)
def test_wrong_proxies_refuse_the_start(write, document, text):
    assert text in refusal(*write(document))


def test_caps_are_raised_by_the_flags_and_the_file(write):
    found = load(
        *write({"max-unpacked-size": "1TiB", "max-expansion-ratio": 5000, "max-manifest-size": "16MiB"}),
        "--max-unpacked-entries=9000000",
        "--max-attributes-size=8m",
    )

    assert caps.of_streams(found)[:2] == (1 << 40, 5000)
    assert caps.of_archives(found) == (8 << 20, 9_000_000, 1 << 40, 4096, 8 << 20)
    assert (caps.of_documents(found).manifest_bytes, caps.of_documents(found).config_bytes) == (16 << 20, 32 << 20)


def test_the_default_caps_are_those_of_the_packages():
    found = load()

    assert caps.of_streams(found) == compression.Limits()
    assert caps.of_archives(found) == tar.Limits()
    assert caps.of_documents(found) == strict.Limits()


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("--max-unpacked-size=0", "invalid max-unpacked-size: 0 is not between 1 and"),
        ("--max-unpacked-entries=-1", "invalid max-unpacked-entries: -1 is not between 1 and"),
        ("--max-expansion-ratio=0", "invalid max-expansion-ratio: 0 is not between 1 and"),
        ("--max-manifest-size=1g", "invalid max-manifest-size: 1073741824 is not between 1 and 134217728"),
        ("--max-attributes-size=x", "invalid size: 'x'"),
    ],
)
def test_a_cap_that_is_none_refuses_the_start(word, text):
    assert text in refusal(word)
