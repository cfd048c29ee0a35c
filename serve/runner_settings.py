"""Where the fine-tuning API's jobs are trained: the `runner` section of its settings."""

from pathlib import Path

from pydantic import Field

from data.section import Section


class RaySection(Section):
    """A Ray cluster, through its Jobs REST API. Ray's own names where it has one.

    The storage folder, this clone and its environment lie on a file system that every node sees under the same path,
    or `root` and `python` say where the nodes have theirs.
    """

    address: str = Field(pattern=r"^https?://")
    """Of the dashboard on the head node, such as http://10.0.0.1:8265."""
    entrypoint_num_gpus: float = Field(default=1, ge=0)
    """GPUs of one job: as many as its recipe's accelerate file asks for; 0 on a cluster without any."""
    entrypoint_num_cpus: float = Field(default=1, ge=0)
    entrypoint_memory: int | None = Field(default=None, gt=0)
    """Bytes that a node must have free by Ray's count."""
    entrypoint_resources: dict[str, float] = {}
    """Resources of your own that a node must offer, such as {"trainer": 1}."""
    env_vars: dict[str, str] = {}
    """Environment variables of the trainings."""
    max_jobs: int = Field(default=8, gt=0)
    """Jobs handed to the cluster at once; those that it has no room for wait there, the others here."""
    root: Path | None = None
    """This project's folder on the nodes; None: where it is here."""
    python: str | None = None
    """The Python of this project's environment on the nodes; None: the one that runs the worker."""
    token_variable: str | None = None
    """Environment variable of the worker with the cluster's token, where it asks for one."""
    give_up_s: float = Field(default=600, gt=0)
    """A job fails when the cluster cannot be reached for so long."""


class RunnerSection(Section):
    ray: RaySection | None = None
    """None: trainings are processes of the workers."""
