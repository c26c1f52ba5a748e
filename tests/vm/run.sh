#!/bin/bash
# Runs tests in a throw-away virtual machine with cgroup v2, AppArmor and every capability, which the development machines
# lack. Not part of `make test`: it takes minutes where the machine is emulated.
#
#   tests/vm/run.sh                     the default set: control groups, the runtime, the sandbox and limit flags on v2, NFS volumes, ipvlan and VLANs
#   tests/vm/run.sh PYTEST-ARGUMENT...  these instead (not tests/compat: dockerd does not start on an emulated machine)
#   KEEP=1 tests/vm/run.sh …            leaves the machine running: `../shared/tools/vm.sh ssh v2 …`, `… down v2`
#
# Needs: ../shared/tools/vm.sh (Debian packages, qemu) and .venv (scripts/setup dev). The machine has no network.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
shared=$(dirname "$here")/shared
vm=$shared/tools/vm.sh
export VMDIR=${VMDIR:-/var/tmp/holdfast-vm} CPUS=${CPUS:-2} MEM=${MEM:-2048}
export PKGS=systemd-sysv,udev,kmod,openssh-server,python3,iproute2,nftables,iptables,iputils-ping,ca-certificates,procps,initramfs-tools,linux-image-cloud-amd64,nfs-kernel-server,libseccomp2,libnftables1,libsystemd0,runc,strace,jq,curl,socat,skopeo,apparmor,bsdutils,busybox-static
name=v2 port=${PORT:-2271}
site=$VMDIR/site
if [ ! -f "$VMDIR/base.ext4" ] || [ "$(cat "$VMDIR/packages" 2>/dev/null)" != "$PKGS" ]; then
    "$vm" build
    echo "$PKGS" >"$VMDIR/packages"
fi

# wheels for the machine's own Python (Debian 12: 3.11), fetched here because there is no network inside
if [ ! -d "$site" ] || [ "$here/pyproject.toml" -nt "$site" ]; then
    rm -rf "$site"
    mapfile -t wanted < <("$here/.venv/bin/python" - "$here/pyproject.toml" <<'PYTHON'
import sys, tomllib
project = tomllib.load(open(sys.argv[1], "rb"))["project"]
tests = ("h11", "pytest", "pytest-asyncio", "hypothesis", "pyroute2", "docker", "pexpect", "trustme")
extra = [each for each in project["optional-dependencies"]["dev"] if each.split(">")[0].split("[")[0] in tests]
print("\n".join(project["dependencies"] + extra))
PYTHON
    )
    "$here/.venv/bin/python" -m pip install -q --disable-pip-version-check --target "$site" --only-binary=:all: --implementation cp \
        --python-version 3.11 "${wanted[@]}"
fi

trap '[ -n "${KEEP:-}" ] || "$vm" down $name' EXIT
BOOT_LIMIT=${BOOT_LIMIT:-900} "$vm" up $name "$port"
in_vm() { # vm.sh gives a connection two seconds, which a busy emulated machine does not make
    ssh -i "$VMDIR/id_ed25519" -p "$port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR \
        -o ConnectTimeout=60 -o BatchMode=yes root@127.0.0.1 "$@"
}
echo "copying the checkout"
tar -C "$here" --exclude=__pycache__ -cf - src tests pyproject.toml scripts | in_vm 'mkdir -p /root/holdfast/main && tar -C /root/holdfast/main -xf -'
tar -C "$shared" -cf - images/busybox-1.37.0-musl images/alpine-3.20 | in_vm 'mkdir -p /root/holdfast/shared && tar -C /root/holdfast/shared -xf -'
tar -C "$VMDIR" -cf - site | in_vm 'tar -C /root/holdfast -xf -'
tar -C "$(dirname "$(command -v docker)")" -chf - docker | in_vm 'tar -C /usr/local/bin -xf -'

[ $# -gt 0 ] || set -- tests/kernel/test_cgroups_v2.py tests/kernel/test_runtime_sandbox.py tests/kernel/test_runtime_namespaces.py \
    tests/kernel/test_runtime_exec.py tests/kernel/test_runtime_attacks.py tests/kernel/test_overlay.py tests/runtime/test_tiny_init.py \
    tests/vm/v2_flags.py tests/vm/nfs_volumes.py tests/vm/child_networks.py
printf -v arguments ' %q' "$@"
in_vm "cd /root/holdfast/main && stat -fc 'control groups: %T' /sys/fs/cgroup && uname -r && PYTHONPATH=/root/holdfast/main/src:/root/holdfast/site \
    PYTHONDONTWRITEBYTECODE= python3 -m pytest -p no:cacheprovider -q --tb=short$arguments"
