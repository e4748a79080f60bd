"""Choose the loopback ports of the stack."""

import socket
from collections.abc import Callable

HOST = "127.0.0.1"
DEFAULTS = {
    "kafka": 19092,
    "kafka_controller": 19093,
    "postgres": 15432,
    "zipkin": 19411,
    "otlp": 14318,
    "intake": 18001,
    "planning": 18002,
    "progress": 18003,
    "notify": 18004,
    "console": 18005,
}


def is_free(port: int) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket() as probe:
        # As servers do, so that a port whose last connections are still closing counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def choose(name: str, wanted: int, taken: set[int], say: Callable[[str], None]) -> int:
    """The wanted port, or a free one near it, which is said. `taken` are ports promised to others of the stack.

    Raises OSError when the machine has no free port.
    """
    if wanted not in taken and is_free(wanted):
        return wanted
    # Near the default and below the range that the machine gives to outgoing connections, which could take it back.
    for port in range(wanted + 100, wanted + 1100):
        if port not in taken and port not in DEFAULTS.values() and is_free(port):
            break
    else:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
    say(f"port {wanted} ({name}) is in use; {port} is taken instead")
    return port


def listens(port: int) -> bool:
    """Whether something accepts connections on this port."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
