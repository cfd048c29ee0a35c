"""What is deleted by its age, and that nothing else is."""

import io
import time
from pathlib import Path

from sqlalchemy import select

from serve.files.keeping import keep
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.housekeeping import DAY_S, tidy
from serve.storage.tables import File, MetadataPair, StoredCompletion


def test_expired_files_and_old_completions_go_and_others_stay(tmp_path: Path) -> None:
    database, files = Database(f"sqlite:///{tmp_path / 'api.db'}"), FileStore(str(tmp_path / "files"))
    now = int(time.time())
    kept = {
        expires_at: keep(
            database, files, io.BytesIO(b"x"), project="p", filename="f", purpose="user_data", created_at=now,
            expires_at=expires_at,
        ).id
        for expires_at in (None, now - 1, now + 100)
    }  # fmt: skip
    with database.write() as session:
        for name, age_days in (("old", 8), ("young", 6)):
            session.add(
                StoredCompletion(
                    id=name, project="p", created_at=now - age_days * DAY_S, model="m", request_id="r", request=b"{}",
                    response=b"{}", metadata_={"k": "v"},
                )
            )  # fmt: skip
            session.add(MetadataPair(owner=name, key="k", value="v"))
    tidy(database, files, None)
    with database.read() as session:
        assert set(session.scalars(select(StoredCompletion.id))) == {"old", "young"}
    tidy(database, files, 7)
    with database.read() as session:
        assert set(session.scalars(select(File.id))) == {kept[None], kept[now + 100]}
        assert list(session.scalars(select(StoredCompletion.id))) == ["young"]
        assert list(session.scalars(select(MetadataPair.owner))) == ["young"]
    assert {path.name for path in (tmp_path / "files").iterdir()} == {kept[None], kept[now + 100]}
