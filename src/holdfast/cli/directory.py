# SPDX-License-Identifier: Apache-2.0
"""Which module answers to which words, and what the top-level help says of it.

Only the module of the command at hand is imported. Groups (`container ls`) are second names of the same commands.
"""

from __future__ import annotations

# name -> (module below cli.commands, summary); the order is the help's order
COMMON: dict[str, tuple[str, str]] = {
    "run": ("run", "Create and run a new container from an image"),
    "exec": ("exec", "Execute a command in a running container"),
    "ps": ("ps", "List containers"),
    "pull": ("pull", "Download an image from a registry"),
    "images": ("images", "List images"),
    "version": ("version", "Show the Holdfast version information"),
    "info": ("info", "Display system-wide information"),
}
OTHERS: dict[str, tuple[str, str]] = {
    "attach": ("attach", "Attach local standard input, output, and error streams to a running container"),
    "commit": ("commit", "Create a new image from a container's changes"),
    "cp": ("cp", "Copy files/folders between a container and the local filesystem"),
    "create": ("create", "Create a new container"),
    "diff": ("diff", "Inspect changes to files or directories on a container's filesystem"),
    "doctor": ("doctor", "Look at this machine and its daemon's files, and say what is wrong"),
    "events": ("events", "Get real time events from the server"),
    "export": ("export", "Export a container's filesystem as a tar archive"),
    "history": ("history", "Show the history of an image"),
    "import": ("import_image", "Import the contents from a tarball to create a filesystem image"),
    "inspect": ("inspect", "Return low-level information on Holdfast objects"),
    "kill": ("kill", "Kill one or more running containers"),
    "load": ("load", "Load an image from a tar archive or STDIN"),
    "login": ("login", "Authenticate to a registry"),
    "logout": ("logout", "Log out from a registry"),
    "logs": ("logs", "Fetch the logs of a container"),
    "pause": ("pause", "Pause all processes within one or more containers"),
    "port": ("port", "List port mappings or a specific mapping for the container"),
    "push": ("push", "Upload an image to a registry"),
    "rename": ("rename", "Rename a container"),
    "restart": ("restart", "Restart one or more containers"),
    "rm": ("rm", "Remove one or more containers"),
    "rmi": ("rmi", "Remove one or more images"),
    "save": ("save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "search": ("search", "Search Docker Hub for images"),
    "start": ("start", "Start one or more stopped containers"),
    "stats": ("stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("stop", "Stop one or more running containers"),
    "tag": ("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "top": ("top", "Display the running processes of a container"),
    "unpause": ("unpause", "Unpause all processes within one or more containers"),
    "update": ("update", "Update configuration of one or more containers"),
    "wait": ("wait", "Block until one or more containers stop, then print their exit codes"),
}
GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "container": (
        "Manage containers",
        {
            **{name: name for name in ("attach", "commit", "cp", "create", "diff", "exec", "export", "kill", "logs")},
            **{name: name for name in ("pause", "port", "rename", "restart", "rm", "run", "start", "stats", "stop")},
            **{name: name for name in ("top", "unpause", "update", "wait")},
            "inspect": "inspect_container",
            "ls": "ps",
            "list": "ps",
            "prune": "container_prune",
            "ps": "ps",
            "remove": "rm",
        },
    ),
    "image": (
        "Manage images",
        {
            **{name: name for name in ("history", "load", "pull", "push", "save", "tag")},
            "import": "import_image",
            "inspect": "inspect_image",
            "ls": "images",
            "list": "images",
            "rm": "rmi",
        },
    ),
    "manifest": (
        "Manage manifest lists",
        {name: f"manifest_{name}" for name in ("annotate", "create", "inspect", "push", "rm")},
    ),
    "network": (
        "Manage networks",
        {
            **{name: f"network_{name}" for name in ("connect", "create", "disconnect", "ls", "prune", "rm")},
            "inspect": "inspect_network",
            "list": "network_ls",
            "remove": "network_rm",
        },
    ),
    "registry": ("Serve a registry", {"serve": "registry_serve"}),
    "volume": (
        "Manage volumes",
        {
            **{name: f"volume_{name}" for name in ("create", "ls", "prune", "rm", "update")},
            "inspect": "inspect_volume",
            "list": "volume_ls",
            "remove": "volume_rm",
        },
    ),
    "system": (
        "Manage Holdfast",
        {
            "df": "disk_usage",
            "info": "info",
            "events": "events",
            "dial-stdio": "dial_stdio",
            "prune": "system_prune",
        },
    ),
}


def find(words: list[str]) -> tuple[str, int] | None:
    """Returns (module name, how many words it took), or None when the words name no command."""
    if not words:
        return None
    entry = COMMON.get(words[0]) or OTHERS.get(words[0])
    if entry is not None:
        return entry[0], 1
    group = GROUPS.get(words[0])
    if group is not None and len(words) > 1 and words[1] in group[1]:
        return group[1][words[1]], 2
    return None


def _table(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows) + 3
    return [f"  {name:<{width}}{summary}" for name, summary in rows]


def help_text() -> str:
    """The text of `hold --help`."""
    return "\n".join(
        [
            "Usage:  hold [OPTIONS] COMMAND",
            "",
            "A container platform that starts containers fast, survives its own death and is safe by default",
            "",
            "Common Commands:",
            *_table([(name, summary) for name, (_, summary) in COMMON.items()]),
            "",
            "Management Commands:",
            *_table([(name, summary) for name, (summary, _) in GROUPS.items()]),
            "",
            "Commands:",
            *_table([(name, summary) for name, (_, summary) in OTHERS.items()]),
            "",
            "Global Options:",
            "  -c, --context string   Name of the context to use to connect to the daemon",
            "  -H, --host string      Daemon socket to connect to",
            "      --tls              Use TLS; implied by --tlsverify",
            "      --tlscacert string, --tlscert string, --tlskey string, --tlsverify",
            "  -v, --version          Print version information and quit",
            "",
            "Run 'hold COMMAND --help' for more information on a command.",
        ]
    )


def group_help(name: str) -> str:
    """The text of `hold GROUP --help`."""
    summary, members = GROUPS[name]
    return "\n".join(
        [f"Usage:  hold {name} COMMAND", "", summary, "", "Commands:", *(f"  {word}" for word in sorted(members))]
    )
