"""Ray's job submission over its REST API: nothing of Ray is needed on this side, and no version has to match."""

import os
from typing import Any, NamedTuple

import httpx

from serve.runner_settings import RaySection

TIMEOUT_S = 30.0
UNDER_WAY = ("PENDING", "RUNNING")
# What Ray writes where a job ended without its command having ended: the node is gone, or Ray itself failed.
LOST = ("JOB_SUPERVISOR_ACTOR_DIED", "JOB_SUPERVISOR_ACTOR_UNKNOWN_FAILURE", "JOB_SUPERVISOR_ACTOR_START_FAILURE")
NO_ROOM = "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"


class RayJob(NamedTuple):
    """A job as the cluster knows it."""

    id: str
    status: str
    """PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED."""
    exit_code: int | None
    error_type: str | None
    message: str

    @property
    def is_under_way(self) -> bool:
        return self.status in UNDER_WAY

    @property
    def has_result(self) -> bool:
        """Its command ended by itself."""
        return self.status == "SUCCEEDED" or self.exit_code is not None

    @property
    def exit_status(self) -> int:
        """As `subprocess` tells it: the shell adds 128 to a signal."""
        code = self.exit_code or 0
        return 128 - code if code > 128 else code


class RayJobs:
    """Every call may raise httpx.HTTPError: the cluster is away, or says no."""

    def __init__(self, section: RaySection) -> None:
        self.section = section
        token = os.environ.get(section.token_variable or "")
        self._http = httpx.Client(
            base_url=section.address.rstrip("/"), timeout=TIMEOUT_S, trust_env=False,
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )  # fmt: skip

    def find(self, job_id: str) -> RayJob | None:
        answer = self._http.get(f"/api/jobs/{job_id}")
        return None if answer.status_code == 404 else _job(answer.raise_for_status().json())

    def all(self) -> list[tuple[RayJob, dict[str, str]]]:
        """Submitted ones, each with its metadata."""
        found = self._http.get("/api/jobs/").raise_for_status().json()
        return [(_job(item), item.get("metadata") or {}) for item in found if item.get("submission_id")]

    def submit(self, job_id: str, entrypoint: str, metadata: dict[str, str]) -> None:
        section = self.section
        body = {
            "submission_id": job_id, "entrypoint": entrypoint, "metadata": metadata,
            "entrypoint_num_cpus": section.entrypoint_num_cpus, "entrypoint_num_gpus": section.entrypoint_num_gpus,
            "entrypoint_memory": section.entrypoint_memory,
            "entrypoint_resources": section.entrypoint_resources or None,
            # Its own wait of 3 s is too short for a training that writes its checkpoint.
            "runtime_env": {"env_vars": {"RAY_JOB_STOP_WAIT_TIME_S": "20", **section.env_vars}},
        }  # fmt: skip
        given = {key: value for key, value in body.items() if value is not None}
        self._http.post("/api/jobs/", json=given).raise_for_status()

    def is_feasible(self) -> bool:
        """Has any node what one job asks for, were it empty? True where the cluster does not tell."""
        section = self.section
        wanted = {
            "CPU": section.entrypoint_num_cpus,
            "GPU": section.entrypoint_num_gpus,
            **section.entrypoint_resources,
        }
        try:
            told = self._http.get("/api/v0/nodes").raise_for_status().json()["data"]["result"]["result"]
            offers = [node["resources_total"] for node in told if node["state"] == "ALIVE"]
            return any(all(offer.get(name, 0) >= count for name, count in wanted.items()) for offer in offers)
        except (ValueError, KeyError, TypeError):  # its words of one day
            return True

    def stop(self, job_id: str) -> None:
        self._http.post(f"/api/jobs/{job_id}/stop").raise_for_status()

    def delete(self, job_id: str) -> None:
        """Of one that has ended."""
        self._http.delete(f"/api/jobs/{job_id}").raise_for_status()


def _job(item: dict[str, Any]) -> RayJob:
    return RayJob(
        item["submission_id"], item["status"], item.get("driver_exit_code"), item.get("error_type"),
        " ".join((item.get("message") or "").split())[:300],
    )  # fmt: skip
