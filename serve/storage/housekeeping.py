"""What has had its time: expired files, stored completions beyond their retention, events nobody took, and what killed
uploads left."""

import time

from sqlalchemy import delete, select

from serve.files.keeping import sweep
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.storage.tables import File, MetadataPair, StoredCompletion, WebhookEvent
from serve.webhooks.outbox import GIVE_UP_S

DAY_S = 86_400


def tidy(database: Database, files: FileStore, retention_days: float | None) -> None:
    now = time.time()
    with database.write() as session:
        expired = list(session.scalars(select(File.id).where(File.expires_at <= now)))
        session.execute(delete(File).where(File.id.in_(expired)))
        session.execute(delete(WebhookEvent).where(WebhookEvent.created_at < now - GIVE_UP_S))
        if retention_days is not None:
            is_old = StoredCompletion.created_at < now - retention_days * DAY_S
            old = select(StoredCompletion.id).where(is_old)
            session.execute(delete(MetadataPair).where(MetadataPair.owner.in_(old)))
            session.execute(delete(StoredCompletion).where(is_old))
    database.forget()
    sweep(database, files, expired)
    files.delete_partial(DAY_S)
