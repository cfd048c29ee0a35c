"""API keys: who is let in, what each sees, how often it may ask."""

import time
from collections.abc import Iterator

import httpx
import openai
import pytest

from serve.storage.database import Database
from serve.transport.access import FRESH_S, new_key
from tests.serve.api_server import BASE, ApiServer, api_server, upload, write_settings


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, dict[str, str]]]:
    """An API with keys of two projects."""
    settings_file = write_settings(tmp_path_factory.mktemp("locked"))
    database = Database(f"sqlite:///{settings_file.parent / 'storage' / 'api.db'}")
    keys = {name: new_key(database, name, name, None) for name in ("red", "blue")}
    keys["slow"] = new_key(database, "slow", "red", 2)
    with api_server(settings_file, "--no-worker") as server:
        yield server, keys


def test_keys_see_their_own_project_alone(locked: tuple[ApiServer, dict[str, str]]) -> None:
    server, keys = locked
    red, blue = server.client(keys["red"]), server.client(keys["blue"])
    file_id = upload(red)
    job_id = red.fine_tuning.jobs.create(training_file=file_id, model=BASE).id
    assert [job.id for job in red.fine_tuning.jobs.list()] == [job_id]
    assert list(blue.files.list()) == [] and list(blue.fine_tuning.jobs.list()) == []
    for call in (
        lambda: blue.files.retrieve(file_id), lambda: blue.files.content(file_id), lambda: blue.files.delete(file_id),
        lambda: blue.fine_tuning.jobs.retrieve(job_id), lambda: blue.fine_tuning.jobs.cancel(job_id),
        lambda: blue.fine_tuning.jobs.list_events(job_id),
    ):  # fmt: skip
        with pytest.raises(openai.NotFoundError):
            call()
    with pytest.raises(openai.BadRequestError, match="No such File object"):
        blue.fine_tuning.jobs.create(training_file=file_id, model=BASE)
    with pytest.raises(openai.BadRequestError, match="No such object"):
        list(blue.files.list(after=file_id))
    assert not any(key in server.log for key in keys.values())


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": "Bearer"}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic KEY"},
        {"Authorization": "KEY"}, {"X-Api-Key": "KEY"}, {"Authorization": "Bearer \xff"},
    ],
)  # fmt: skip
def test_without_a_right_key_nobody_is_let_in(
    locked: tuple[ApiServer, dict[str, str]], headers: dict[str, str]
) -> None:
    server, keys = locked
    sent = [(name.encode(), value.replace("KEY", keys["red"]).encode("latin-1")) for name, value in headers.items()]
    for path in ("files", "fine_tuning/jobs", "models", "nonsense", "../v1/files"):
        answer = httpx.get(f"{server.base_url}/{path}", headers=sent)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert httpx.get(f"{server.base_url.removesuffix('/v1')}/health").status_code == 200


def test_two_keys_at_once_open_nothing(locked: tuple[ApiServer, dict[str, str]]) -> None:
    server, keys = locked
    sent = [("Authorization", f"Bearer {keys['red']}"), ("Authorization", f"Bearer {keys['blue']}")]
    assert httpx.get(f"{server.base_url}/files", headers=sent).status_code == 401


def test_several_apis_allow_a_key_no_more_than_one_would(locked: tuple[ApiServer, dict[str, str]]) -> None:
    server, _ = locked
    key = new_key(Database(server.settings.database_url), "shared", "red", 12)
    time.sleep(FRESH_S)  # until the running one has read its keys again
    with api_server(server.settings_file, "--no-worker") as second:
        urls = [f"{each.base_url}/files" for each in (server, second)] * 12
        began = time.monotonic()
        answers = [httpx.get(url, headers={"Authorization": f"Bearer {key}"}).status_code for url in urls]
        refilled = (time.monotonic() - began) * 12 / 60
    assert answers[:12] == [200] * 12
    assert 12 <= answers.count(200) <= 13 + refilled and set(answers) == {200, 429}


def test_a_key_may_ask_only_so_often(locked: tuple[ApiServer, dict[str, str]]) -> None:
    server, keys = locked
    slow = server.client(keys["slow"])
    assert [slow.files.list().object for _ in range(2)] == ["list", "list"]
    with pytest.raises(openai.RateLimitError) as error:
        slow.files.list()
    assert error.value.code == "rate_limit_exceeded"
    assert int(error.value.response.headers["retry-after"]) in range(1, 31)
