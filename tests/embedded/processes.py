"""What the kernel says of a process and those it started; Linux only, as /proc is."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

PROC = Path("/proc")


def tree(pid: int) -> set[int]:
    """The process and everything below it."""
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (entry / "stat").exists():
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening(pids: set[int]) -> set[str]:
    """The addresses on which any of them listens, TCP over IPv4 and IPv6."""
    inodes = {inode for pid in pids for inode in _sockets(pid)}
    addresses = set()
    for table in ("tcp", "tcp6"):
        for line in (PROC / "net" / table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                addresses.add(_address(fields[1]))
    return addresses


def descriptors(pid: int) -> set[str]:
    """What its open descriptors point at."""
    return {str(link.readlink()) for link in (PROC / str(pid) / "fd").iterdir()}


def session(pid: int) -> int:
    return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[3])


def alive(pid: int) -> bool:
    """Whether it runs; one that ended and was not waited for does not."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _sockets(pid: int) -> set[str]:
    return {match[1] for target in descriptors(pid) if (match := re.fullmatch(r"socket:\[(\d+)\]", target))}


def _address(field: str) -> str:
    """`0100007F:1F90` is 127.0.0.1: words of four bytes in the machine's own order (little-endian here)."""
    words = bytes.fromhex(field.partition(":")[0])
    packed = b"".join(words[start : start + 4][::-1] for start in range(0, len(words), 4))
    return str(ipaddress.ip_address(packed))
