"""/v1/files through OpenAI's own SDK."""

import base64
import time
from pathlib import Path

import httpx
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types import FileObject

from tests.serve.api_server import ApiServer, rows_file, running_worker, upload


def test_a_file_is_uploaded_listed_read_and_deleted(client: OpenAI, api: ApiServer) -> None:
    name, content = rows_file(12)
    file = client.files.create(file=(name, content), purpose="fine-tune")
    assert file == FileObject(
        id=file.id, bytes=len(content), created_at=file.created_at, filename=name, object="file", purpose="fine-tune",
        status="processed", expires_at=None, status_details=None,
    )  # fmt: skip
    assert client.files.wait_for_processing(file.id).status == "processed"
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == content
    assert file.id in [item.id for item in client.files.list(purpose="fine-tune")]
    assert file.id not in [item.id for item in client.files.list(purpose="evals")]
    assert client.files.delete(file.id).deleted
    with pytest.raises(NotFoundError, match=f"No such File object: {file.id}") as error:
        client.files.content(file.id)
    assert (error.value.param, error.value.code) == ("id", None)
    assert list((api.settings.storage / "files").glob(f"*{file.id}*")) == []


def test_pages_hold_each_file_once_newest_first(client: OpenAI) -> None:
    made = [upload(client) for _ in range(5)]
    listed = [file.id for file in client.files.list(limit=2)]
    assert listed[:5] == made[::-1] and len(set(listed)) == len(listed)
    assert [file.id for file in client.files.list(order="asc", limit=3)][-5:] == made
    page = client.files.list(limit=2)
    assert page.has_more and (page.model_extra or {})["first_id"] == made[-1]
    for query, param in (({"limit": 0}, "limit"), ({"after": "file-none"}, "after"), ({"order": "up"}, "order")):
        with pytest.raises(BadRequestError) as error:
            client.files.list(extra_query=query)
        assert error.value.param == param


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'{"messages": []}\n{"messages": [\n', 2),
        (b'\n\n["a list"]\n', 3),
        (b'{"a": 1, "a": 2}\n', 1),
        (b'{"a": "\xff"}\n', 1),
        (b"prompt,completion\n", 1),
    ],
)
def test_what_is_not_json_lines_is_refused_by_line_and_not_kept(client: OpenAI, content: bytes, line: int) -> None:
    before = [file.id for file in client.files.list()]
    with pytest.raises(BadRequestError, match=f"Expected file to have JSONL format.* Line {line}: ") as error:
        client.files.create(file=("rows.jsonl", content), purpose="fine-tune")
    assert (error.value.type, error.value.param, error.value.code) == ("invalid_request_error", None, None)
    assert [file.id for file in client.files.list()] == before


def test_bom_blank_lines_and_windows_line_ends_are_taken(client: OpenAI) -> None:
    content = b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": "\xe2\x80\xa8"}\r\n'
    file = client.files.create(file=("rows.jsonl", content), purpose="evals")
    assert client.files.content(file.id).read() == content


def test_purposes(client: OpenAI) -> None:
    assert client.files.create(file=b"\x00\xff", purpose="user_data").bytes == 2
    for purpose, code in (("batch", "not_supported_locally"), ("nonsense", "invalid_value")):
        with pytest.raises(BadRequestError) as error:
            client.files.create(file=b"{}", purpose=purpose)
        assert (error.value.param, error.value.code) == ("purpose", code)


def test_a_file_expires(client: OpenAI) -> None:
    file = client.files.create(file=b"{}", purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600})
    assert file.expires_at == file.created_at + 3600
    with pytest.raises(BadRequestError) as error:
        client.files.create(file=b"{}", purpose="user_data", expires_after={"anchor": "created_at", "seconds": 5})
    assert error.value.param == "expires_after.seconds"


@pytest.mark.parametrize("name", ["../../etc/passwd", "..\\..\\boot.ini", "/etc/shadow", "a\x00b", "x" * 3000, ".."])
def test_a_file_name_leads_nowhere(client: OpenAI, api: ApiServer, name: str) -> None:
    file = client.files.create(file=(name, b"{}\n"), purpose="evals")
    assert not set("/\\\x00") & set(file.filename) and len(file.filename) <= 255
    kept = [path.name for path in (api.settings.storage / "files").iterdir()]
    assert file.id in kept


def test_a_file_id_leads_nowhere(api: ApiServer) -> None:
    for file_id in ("..%2f..%2fapi.db", "%2e%2e%2fapi.db", "....//api.db", "file-%00", "'; drop table files; --"):
        answer = httpx.get(f"{api.base_url}/files/{file_id}/content")
        assert answer.status_code in (400, 404), answer.text
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_body_that_is_too_large_is_refused_before_it_is_read(api: ApiServer) -> None:
    answer = httpx.post(f"{api.base_url}/fine_tuning/jobs", content=b"{" + b" " * 33 * 2**20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "request_too_large")


def test_a_result_file_is_base64_unless_plain_is_asked_for(client: OpenAI, api: ApiServer, tmp_path: Path) -> None:
    job = client.fine_tuning.jobs.create(training_file=upload(client), model="org/tiny")
    with running_worker(api.settings):
        deadline = time.monotonic() + 60
        while not (results := client.fine_tuning.jobs.retrieve(job.id).result_files):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    csv = base64.b64decode(client.files.content(results[0]).read()).decode().splitlines()
    assert csv[:2] == ["step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy", "1,1.00000,0.00000,,"]
    plain = client.files.content(results[0], extra_query={"encoding": "plain"}).text
    assert plain.splitlines() == csv
    assert client.files.retrieve(results[0]).purpose == "fine-tune-results"
