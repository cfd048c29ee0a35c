"""What OpenAI has and this server will not: a clean refusal, where 404 would read as a wrong address."""

from fastapi import APIRouter

from serve.transport.errors import not_supported

router = APIRouter(include_in_schema=False)
METHODS = ["GET", "POST", "DELETE"]
AREAS = ("uploads", "assistants", "threads", "vector_stores", "batches", "images", "audio", "moderations",
         "responses", "embeddings", "completions", "realtime", "conversations", "containers", "videos")  # fmt: skip


@router.api_route("/v1/fine_tuning/checkpoints/{rest:path}", methods=METHODS)
def permissions(rest: str) -> None:
    raise not_supported("Checkpoint permissions are not supported")


@router.api_route("/v1/fine_tuning/alpha/{rest:path}", methods=METHODS)
def graders(rest: str) -> None:
    raise not_supported("Graders are not supported")


def _refuse(area: str) -> None:
    @router.api_route(f"/v1/{area}", methods=METHODS)
    @router.api_route(f"/v1/{area}/{{rest:path}}", methods=METHODS)
    def refuse(rest: str = "") -> None:
        raise not_supported(f"/v1/{area} is not supported")


for _area in AREAS:
    _refuse(_area)
