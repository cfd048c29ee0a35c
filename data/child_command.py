"""Commands of child processes that end when this process does, whatever ends it."""

import shutil
import threading


def ending_with_us(command: list[str]) -> list[str]:
    """`command`, told by SIGTERM when this process is gone: a SIGKILL lets nobody tidy up, and a training or a server
    left behind would hold its GPU.

    The kernel watches the thread that starts the child (prctl(2), PR_SET_PDEATHSIG), so this is for the main thread;
    in another one, and where util-linux's `setpriv` is not there, the command is left as it is.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None or threading.current_thread() is not threading.main_thread():
        return command
    return [setpriv, "--pdeathsig", "TERM", *command]
