"""What a client with bad intent tries. Each refusal stands beside the same request asked rightly, which must work."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import httpx
import jsonschema
import openai
import pytest

from serve.storage.database import Database
from serve.transport.access import new_key
from tests.serve.api_server import BASE, ApiServer, api_server, ended, row, running_worker, upload, write_settings
from tests.serve.test_api_evals import CONFIG, NAME

SHORT: Any = {"n_epochs": 2, "batch_size": 10}
LISTS = ("/v1/files", "/v1/fine_tuning/jobs", "/v1/models", "/v1/chat/completions", "/v1/evals", "/health")


class Locked(NamedTuple):
    server: ApiServer
    keys: dict[str, str]
    ids: dict[str, str]
    """Of red's objects, by the name of the path's parameter."""


@pytest.fixture(scope="module")
def locked(planted: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """Two projects; red has one object of every kind."""
    settings = write_settings(tmp_path_factory.mktemp("security"), engines={BASE: f"{planted}/v1"})
    database = Database(f"sqlite:///{settings.parent / 'storage' / 'api.db'}")
    keys = {name: new_key(database, name, name, None) for name in ("red", "blue")}
    with api_server(settings, "--no-worker") as server:
        red = server.client(keys["red"])
        job_id = red.fine_tuning.jobs.create(training_file=upload(red), model=BASE, hyperparameters=SHORT).id
        with running_worker(server.settings):
            model = ended(red, job_id).fine_tuned_model
        ask: Any = {"model": model, "messages": [{"role": "user", "content": "call"}], "store": True}
        made = red.evals.create(data_source_config=CONFIG, testing_criteria=[NAME])
        source: Any = {"type": "file_content", "content": [{"item": {"tool": "x"}, "sample": {"output_text": ""}}]}
        run = red.evals.runs.create(made.id, data_source={"type": "jsonl", "source": source})
        while not (items := red.evals.runs.output_items.list(run.id, eval_id=made.id).data):
            pass
        ids = {
            "file_id": upload(red), "job_id": job_id, "name": model,
            "completion_id": red.chat.completions.create(**ask).id, "eval_id": made.id, "run_id": run.id,
            "item_id": items[0].id,
        }  # fmt: skip
        yield Locked(server, keys, ids)


def requests(locked: Locked) -> list[tuple[str, str]]:
    """Every operation on one object, reading before changing and deleting last."""
    paths = httpx.get(
        locked.server.base_url.replace("/v1", "/openapi.json"),
        headers={"Authorization": f"Bearer {locked.keys['red']}"},
    ).json()["paths"]  # fmt: skip
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods if "{" in path]
    order = {"GET": 0, "POST": 1, "DELETE": 2}
    return sorted(found, key=lambda each: (order[each[0]], -len(each[1])))


def require_documented(document: dict[str, Any], method: str, path: str, answer: httpx.Response) -> None:
    """What fuzzing seldom meets: the right answer about an object that is there, against our own document."""
    told = document["paths"][path][method.lower()]["responses"]
    shape = told.get(str(answer.status_code), told["default"])["content"].get("application/json")
    if shape:
        jsonschema.validate(answer.json(), shape["schema"] | {"components": document["components"]})


def test_another_projects_objects_are_not_reached_by_their_ids_in_bodies(locked: Locked) -> None:
    server, ids = locked.server, locked.ids
    red, blue = server.client(locked.keys["red"]), server.client(locked.keys["blue"])
    job: Any = {"training_file": upload(red), "model": BASE, "hyperparameters": SHORT}
    with pytest.raises(openai.BadRequestError) as error:
        blue.fine_tuning.jobs.create(**job)
    assert error.value.code == "file_not_found"
    made = blue.evals.create(data_source_config=CONFIG, testing_criteria=[NAME])
    source: Any = {"type": "jsonl", "source": {"type": "file_id", "id": job["training_file"]}}
    with pytest.raises(openai.NotFoundError):
        blue.evals.runs.create(made.id, data_source=source)
    for model in (ids["name"], "ft:org/tiny:local::zzzzzzzz"):
        with pytest.raises(openai.NotFoundError) as unknown:
            blue.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}])
        assert unknown.value.code == "model_not_found"
    key = {"Idempotency-Key": "same"}
    first = red.fine_tuning.jobs.create(**job, extra_headers=key).id
    other: Any = {**job, "training_file": upload(blue)}
    assert blue.fine_tuning.jobs.create(**other, extra_headers=key).id != first


NAMES = ["../../etc/passwd", "..%2f..%2fapi.db", "/etc/passwd", "ft:../../x:local::aaaaaaaa", "ft:org/tiny\x00", "."]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_name_leads_nowhere(locked: Locked, name: str) -> None:
    server, headers = locked.server, {"Authorization": f"Bearer {locked.keys['red']}"}
    kept = sorted(path for path in server.settings.storage.rglob("*") if path.is_dir())
    for method in ("GET", "DELETE"):
        quoted = name.replace("%", "%25").replace("/", "%2F").replace("\x00", "%00").replace(".", "%2E")
        answer = httpx.request(method, f"{server.base_url}/models/{quoted}", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) in (
            (404, "model_not_found"), (400, "invalid_value"),
        ), answer.text  # fmt: skip
    red = server.client(locked.keys["red"])
    with pytest.raises((openai.NotFoundError, openai.BadRequestError)):
        red.chat.completions.create(model=name, messages=[{"role": "user", "content": "hi"}])
    with pytest.raises(openai.BadRequestError):
        red.fine_tuning.jobs.create(model=name, training_file=upload(red))
    assert sorted(path for path in server.settings.storage.rglob("*") if path.is_dir()) == kept
    assert red.chat.completions.create(model=BASE, messages=[{"role": "user", "content": "hi"}]).model == BASE


def raw(server: ApiServer, request: bytes) -> bytes:
    host, port = server.base_url.removeprefix("http://").removesuffix("/v1").split(":")
    got = b""
    with socket.create_connection((host, int(port)), timeout=SILENT_S) as connection, suppress(OSError):
        connection.sendall(request)
        while piece := connection.recv(65536):  # until the server closes, or says nothing more
            got += piece
    return got


SILENT_S = 3
INNER = b"DELETE /v1/files/file-inner HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer KEY\r\n\r\n"
TRICKS = {
    "two lengths": b"content-length: 0\r\ncontent-length: 90\r\n",
    "length and chunks": b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
    "a length that is none": b"content-length: 1e3\r\n",
    "a negative length": b"content-length: -1\r\n",
    "chunks that are none": b"transfer-encoding: xchunked\r\n",
    "a folded header": b"x-a: 1\r\n content-length: 90\r\n",
    "a space in a name": b"content-length : 90\r\n",
    "a very large header": b"x-a: " + b"a" * 200_000 + b"\r\n",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_headers_that_lie_about_where_a_request_ends_let_no_second_one_in(locked: Locked, trick: str) -> None:
    key = locked.keys["red"].encode()
    head = b"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + key + b"\r\n" + TRICKS[trick] + b"\r\n"
    got = raw(locked.server, head + b"0\r\n\r\n" + INNER.replace(b"KEY", key))
    statuses = [line.split()[1] for line in got.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses in ([], [b"400"], [b"413"], [b"431"]) and b"file-inner" not in got, got[:500]
    assert raw(locked.server, INNER.replace(b"KEY", key)).startswith(b"HTTP/1.1 404 ")  # alone it is a request


def test_headers_that_proxies_set_open_nothing(locked: Locked) -> None:
    names = ("x-forwarded-for", "x-real-ip", "x-forwarded-user", "x-original-url", "x-http-method-override", "host")
    headers = dict.fromkeys(names, "127.0.0.1") | {"openai-organization": "red", "openai-project": "red"}
    url = f"{locked.server.base_url}/files"
    assert httpx.get(url, headers=headers).status_code == 401
    blue = httpx.get(url, headers=headers | {"Authorization": f"Bearer {locked.keys['blue']}"}).json()
    assert all(file["id"] != locked.ids["file_id"] for file in blue["data"])


TEMPLATES = ["{{ 7*7 }}", "${7*7}", "{0.__class__}", "%(secret)s", "!!python/object:os.system", "<|im_start|>system"]


@pytest.mark.parametrize("text", TEMPLATES)
def test_templates_in_request_fields_stay_text(locked: Locked, text: str) -> None:
    red = locked.server.client(locked.keys["red"])
    job = red.fine_tuning.jobs.create(
        training_file=upload(red), model=BASE, suffix=text, metadata={"a": text}, hyperparameters=SHORT
    )
    with running_worker(locked.server.settings):
        job = ended(red, job.id)
    assert job.status == "succeeded" and job.fine_tuned_model
    assert job.fine_tuned_model.split(":", 3)[3].rpartition(":")[0] == text and job.metadata == {"a": text}
    recipe = locked.server.settings.runs / job.id / "inputs" / "recipe.yaml"
    assert text not in recipe.read_text()
    ask: Any = {"model": job.fine_tuned_model, "messages": [{"role": "user", "content": text}], "store": True}
    stored = red.chat.completions.create(**ask, metadata={"a": text})
    assert red.chat.completions.messages.list(stored.id).data[0].content == text
    evil: Any = {**NAME, "input": f"{{{{item.{text}}}}}"}
    with pytest.raises(openai.BadRequestError):
        red.evals.create(data_source_config=CONFIG, testing_criteria=[evil])


@pytest.mark.parametrize("field", ["chat_template", "chat_template_kwargs.chat_template"])
def test_a_chat_template_of_the_request_is_refused(locked: Locked, planted: str, field: str) -> None:
    red = locked.server.client(locked.keys["red"])
    evil = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
    extra = {"chat_template": evil} if field == "chat_template" else {"chat_template_kwargs": {"chat_template": evil}}
    ask: Any = {"model": BASE, "messages": [{"role": "user", "content": "hi"}], "tools": row(1)["tools"]}
    with pytest.raises(openai.BadRequestError) as error:
        red.chat.completions.create(**ask, extra_body=extra)
    assert (error.value.param, error.value.code) == (field, "not_supported_locally")
    red.chat.completions.create(**ask, extra_body={"chat_template_kwargs": {"enable_thinking": False}})
    asked = httpx.get(f"{planted}/asked").json()["body"]
    assert asked["chat_template_kwargs"] == {"enable_thinking": False} and evil not in json.dumps(asked)


def test_another_projects_key_reaches_no_object_by_any_operation(locked: Locked) -> None:
    root = locked.server.base_url.removesuffix("/v1")
    asked = requests(locked)
    assert len(asked) > 25
    bodies = {"/v1/chat/completions/{completion_id}": {"metadata": {"a": "b"}}, "/v1/evals/{eval_id}": {"name": "n"}}
    run: Any = {"data_source": {"type": "jsonl", "source": {"type": "file_content", "content": [{"item": {}}]}}}
    bodies["/v1/evals/{eval_id}/runs"] = run

    def ask(key: str, method: str, path: str) -> httpx.Response:
        url = root + path.format(**{name: value.replace("/", "%2F") for name, value in locked.ids.items()})
        headers = {"Authorization": f"Bearer {locked.keys[key]}"}
        body = {"json": bodies.get(path, {})} if method == "POST" else {}
        return httpx.request(method, url, headers=headers, **body)  # type: ignore[arg-type]

    for method, path in asked:
        answer = ask("blue", method, path)
        assert answer.status_code == 404, (method, path, answer.text)
        assert "does not exist" in answer.text or "No " in answer.text or "Could not find" in answer.text
    states = ("invalid_job_state", "invalid_run_state")  # the job and the run have ended: they are found all the same
    document = httpx.get(f"{root}/openapi.json", headers={"Authorization": f"Bearer {locked.keys['red']}"}).json()
    for method, path in [*(("GET", path) for path in LISTS), *asked]:
        answer = ask("red", method, path)
        assert answer.status_code in (200, 201) or answer.json()["error"]["code"] in states, (method, path, answer.text)
        require_documented(document, method, path, answer)
