"""What Prometheus may scrape at /metrics; nothing of it tells what was asked."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Measures:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "calltune_requests", "Requests answered", ["route", "method", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "calltune_request_seconds", "Time to the last byte of the answer", ["route"], registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
        )  # fmt: skip
        self.open_requests = Gauge("calltune_open_requests", "Requests being answered", registry=self.registry)
        self.stored = Counter("calltune_stored_completions", "Completions stored", registry=self.registry)
        self.not_stored = Counter(
            "calltune_not_stored_completions", "Completions asked to be stored that were not", ["reason"],
            registry=self.registry,
        )  # fmt: skip
        self.jobs = Gauge("calltune_jobs", "Fine-tuning jobs", ["status"], registry=self.registry)
        self.engines = Gauge(
            "calltune_engine_up", "vLLM replicas that answer", ["model", "replica"], registry=self.registry
        )
