"""Starting, watching and ending a server, with a small stand-in for one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serve.chat.engine import MARK, end_orphans
from serve.server_process import ServerError, ServerProcess
from serve.vllm_process import free_port
from tests.conftest import ROOT, descendants, is_running

# A server with a child of its own, as vLLM has its engine; it ignores SIGTERM when told to.
SERVER = """
import http.server, signal, subprocess, sys
subprocess.Popen(["sleep", "600"])
if sys.argv[2] == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def stand_in(log_path: Path, manner: str = "polite") -> ServerProcess:
    port = free_port("127.0.0.1")
    command = [sys.executable, "-c", SERVER, str(port), manner]
    return ServerProcess(command, f"http://127.0.0.1:{port}", log_path, startup_timeout_s=30)


@pytest.mark.parametrize("manner", ["polite", "stubborn"])
def test_leaving_the_body_ends_the_server_and_its_children(
    tmp_path: Path, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.server_process.STOP_TIMEOUT_S", 1)
    with stand_in(tmp_path / "logs" / "log", manner) as server:
        pids = [server.pid, *descendants(server.pid)]
        assert len(pids) == 2
    time.sleep(0.2)
    assert [pid for pid in pids if is_running(pid)] == []


def test_an_early_death_is_reported_with_its_first_hand_reason_and_the_log(tmp_path: Path) -> None:
    words = "ValueError: too big\\nRuntimeError: Engine core initialization failed. See above\\ngoodbye"
    command = [sys.executable, "-c", f"print('{words}'); raise SystemExit(3)"]
    with pytest.raises(ServerError) as death, ServerProcess(command, "http://127.0.0.1:1", tmp_path / "log", title="X"):
        pass
    assert str(death.value) == f"X ended with status 3: ValueError: too big; log: {tmp_path / 'log'}"


def test_a_server_that_never_answers_is_given_up_and_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    server = ServerProcess(command, "http://127.0.0.1:1", tmp_path / "log", startup_timeout_s=1)
    with pytest.raises(ServerError, match="no answer within 1 s"), server:
        pass
    assert not is_running(server.pid)


def test_a_server_that_dies_later_ends_the_wait(tmp_path: Path) -> None:
    with stand_in(tmp_path / "log") as server:
        subprocess.run(["kill", "-9", str(server.pid)], check=True)
        with pytest.raises(ServerError, match="ended with status -9"):
            server.wait()


def test_sigterm_ends_a_program_and_the_server_it_started(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from tests.serve.test_server_process import stand_in\n"
        f"with stand_in(Path({str(tmp_path / 'log')!r})):\n"
        "    print('up', flush=True); time.sleep(600)"
    )
    running = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert running.stdout and running.stdout.readline() == "up\n"
    children = descendants(running.pid)
    assert len(children) == 2
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 128 + signal.SIGTERM
    running.stdout.close()
    assert [pid for pid in children if is_running(pid)] == []


def test_a_vllm_whose_api_was_killed_ends_with_its_engine() -> None:
    """The engine is a process of its own, and has no environment to know it by: vLLM writes its title there."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    engine = "import subprocess, sys; print(subprocess.Popen(['sleep', '600'], env={}).pid, flush=True); input()"
    server = subprocess.Popen(
        [sys.executable, "-c", engine], env=os.environ | {MARK: str(gone.pid)}, start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert server.stdout
    engine_pid = int(server.stdout.readline())
    assert end_orphans() >= 1
    server.communicate()
    assert not is_running(engine_pid)
