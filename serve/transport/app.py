"""The application: routes, error bodies, and the gate before them."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from serve.api_settings import ApiSettings
from serve.chat.asking import Chat
from serve.chat.capture import Capture
from serve.chat.routes import responses_router as responses
from serve.chat.routes import router as chat
from serve.evals.routes import router as evals
from serve.evals.run_loop import RunLoop
from serve.files.routes import router as files
from serve.jobs.routes import router as jobs
from serve.models.routes import router as models
from serve.storage.database import Database
from serve.storage.file_store import FileStore
from serve.transport.access import KeyRing
from serve.transport.context import Context
from serve.transport.errors import add_error_handlers
from serve.transport.gate import Gate, Limits
from serve.transport.measures import Measures
from serve.transport.openapi import describe
from serve.transport.operations import router as operations
from serve.transport.rates import RateLimits
from serve.transport.unsupported import router as unsupported


def create_app(settings: ApiSettings, database: Database) -> FastAPI:
    """Raises UserError when the settings cannot be met."""
    measures = Measures()
    app = FastAPI(title="calltune", docs_url=None, redoc_url=None, openapi_url="/openapi.json", lifespan=_lifespan)
    Capture(settings.capture)  # refuse a wrong redactor now
    app.state.context = Context(settings, database, FileStore(settings.files_url), measures)
    add_error_handlers(app)
    for router in (chat, responses, files, jobs, models, evals, operations, unsupported):
        app.include_router(router)
    describe(app)
    limits = Limits(settings.max_body_bytes, settings.max_file_bytes, settings.receive_timeout_s)
    app.add_middleware(Gate, keys=KeyRing(database), rates=RateLimits(database), limits=limits, measures=measures)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: Context = app.state.context
    app.state.chat = Chat(context.settings, context.database, context.measures)
    gc.collect()
    gc.freeze()  # what was imported stays for good: the collector need not walk through it while streams wait
    running = asyncio.create_task(RunLoop(context, app.state.chat).run())
    yield
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await app.state.chat.close()
