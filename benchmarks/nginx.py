"""nginx, one worker: as the backend that everything is measured against, and as a proxy one hop before it."""

import grp
import os
import pwd
import random
from pathlib import Path
from typing import Final

from benchmarks.loads import BIG, GET, GREETING, LONG, POST, SLOW
from benchmarks.programs import find_program
from tests.system.processes import Process, free_port

_SHELL: Final = """
worker_processes 1;
daemon off;
user {user} {group};
pid {folder}/{name}.pid;
error_log stderr error;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    client_body_buffer_size 64k;
    client_body_temp_path {folder}/{name}.body;
    proxy_temp_path {folder}/{name}.proxy;
    fastcgi_temp_path {folder}/{name}.fastcgi;
    uwsgi_temp_path {folder}/{name}.uwsgi;
    scgi_temp_path {folder}/{name}.scgi;
    {inside}
}}
"""

# nginx answers a POST before it has read the body, unless something needs that; `mirror` does. A file cannot be posted
# to, and the error of that is made the answer; so is that of a password that nobody has, which nginx can say late.
# `no-store`, because a proxy that keeps answers would not be measured.
_BACKEND: Final = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {folder};
        add_header Cache-Control no-store always;
        location = {small} {{ return 200 "{greeting}"; }}
        location = {post} {{ mirror /read; error_page 405 =200 {small}; }}
        location = {slow} {{
            auth_basic nobody;
            auth_basic_user_file /dev/null;
            auth_delay 2s;
            error_page 401 =200 {small};
        }}
        location = {big} {{ default_type application/octet-stream; }}
        location = {long} {{ default_type application/octet-stream; }}
        location = /read {{ internal; return 204; }}
    }}
"""

_ONE_HOP: Final = """
    upstream backend {{
        server 127.0.0.1:{backend};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 300s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://backend;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_max_temp_file_size 0;
        }}
    }}
"""


def find_nginx() -> str:
    """The path of the program. Raises `Missing`."""
    return find_program("nginx", package="nginx-light")


def start_backend(folder: Path) -> tuple[Process, int]:
    """The backend, and its port: answers to all loads. Raises `Missing`."""
    for load in (BIG, LONG):
        (folder / load.target[1:]).write_bytes(random.Random(1).randbytes(load.receives))
    (folder / POST.target[1:]).touch()
    port = free_port()
    greeting = GREETING.replace("\n", "\\n")
    targets = {"small": GET.target, "post": POST.target, "big": BIG.target, "long": LONG.target, "slow": SLOW.target}
    inside = _BACKEND.format(port=port, folder=folder, greeting=greeting, **targets)
    return _start("backend", inside, folder), port


def start_one_hop(folder: Path, *, backend: int) -> tuple[Process, int]:
    """A proxy that keeps its connections to the backend's port, and its own port. Raises `Missing`."""
    port = free_port()
    return _start(f"hop-{port}", _ONE_HOP.format(port=port, backend=backend), folder), port


def _start(name: str, inside: str, folder: Path) -> Process:
    user = pwd.getpwuid(os.getuid())
    settings = folder / f"{name}.conf"
    group = grp.getgrgid(user.pw_gid).gr_name
    settings.write_text(_SHELL.format(user=user.pw_name, group=group, folder=folder, name=name, inside=inside))
    return Process(name, [find_nginx(), "-c", str(settings), "-e", "stderr"], log=folder / f"{name}.log")
