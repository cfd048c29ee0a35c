"""The socket that the API listens on, bound before anything else starts."""

import socket

from data.user_error import UserError

BACKLOG = 2048


def listening_socket(host: str, port: int) -> socket.socket:
    """Raises UserError for an address that is not this machine's or a port that is taken."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)  # from here on clients wait instead of being refused: the address is announced now
    except OSError as error:
        fix = "stop what uses it, or take another; 0 picks a free one"
        raise UserError(f"cannot listen: {error.strerror}", where=f"{host}:{port}", fix=fix) from error
    sock.set_inheritable(True)
    return sock
