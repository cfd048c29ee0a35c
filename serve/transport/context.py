"""What the routes work with, handed to each by FastAPI."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from serve.api_settings import ApiSettings
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.transport.access import Caller
from serve.transport.measures import Measures


class Context(NamedTuple):
    settings: ApiSettings
    database: Database
    files: FileStore
    measures: Measures


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


Here = Annotated[Context, Depends(_context)]
Asking = Annotated[Caller, Depends(_caller)]
