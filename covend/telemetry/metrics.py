"""Every metric, declared once, in the order in which the documentation lists them.

Labels come from the configuration or from fixed sets; what a stranger can choose (an event's name,
a
repository beyond the configured number) is folded into `other` before it gets here.
"""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from covend.core.ending import Ending
from covend.core.model import Phase
from covend.core.states import Outcome

QUICK_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
OTHER = "other"
CALLBACK = "callback"
"""A phase of no attempt: what is told afterwards."""
TIMEOUT = "timeout"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One process's metrics.

    Gauges have a registry of their own: the client takes `tasks` and `tasks_total` for one name,
    the text
    format does not.
    """

    def __init__(self, *, repositories_max: int = 100) -> None:
        """Declare all of them; so many repositories have a label of their own."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double every series, to say when this process began
        self._repositories_max = repositories_max
        self._repositories: set[str] = set()
        self._answers: dict[tuple[str, str, str], Counter] = {}
        self._counters = CollectorRegistry()
        self._gauges = CollectorRegistry()
        counter, gauge, histogram = self._counter, self._gauge, self._histogram
        self.deliveries = counter(
            "deliveries_total", "Webhook requests by answer.", "source", "event", "result"
        )
        self.delivery_ack = histogram(
            "delivery_ack_seconds", "From a request's headers to its answer.", QUICK_S
        )
        self.tasks = gauge("tasks", "Tasks by state.", "state")
        self.tasks_ended = counter("tasks_total", "Ended tasks.", "rule", "repository", "outcome")
        self.queue_oldest = gauge("queue_oldest_seconds", "Age of the oldest task that could run.")
        self.claim_wait = histogram(
            "claim_wait_seconds", "From the moment a task could run to its claim.", LONG_S
        )
        self.attempts = counter(
            "attempts_total", "Ended attempts.", "agent", "outcome", "error_code"
        )
        self.phase = histogram(
            "phase_seconds", "How long a phase of an attempt took.", LONG_S, "phase", "result"
        )
        self.phase_timeouts = counter(
            "phase_timeouts_total", "Phases that ran out of time.", "phase"
        )
        self.fallbacks = counter(
            "fallbacks_total", "Tasks that went on to another agent.", "from", "to", "reason"
        )
        self.callbacks = counter(
            "callbacks_total", "Tries to call back.", "target", "result", "error_code"
        )
        self.effects = gauge("effects", "Effects by state.", "state")
        self.effects_ended = counter(
            "effects_total", "Effects by what became of them.", "kind", "result"
        )
        self.outbox_oldest = gauge(
            "outbox_oldest_seconds", "Age of the oldest effect not yet visible."
        )
        self.callback_exhausted = counter(
            "callback_exhausted_total", "Callbacks whose tries have run out."
        )
        self.safeguard_trips = counter(
            "safeguard_trips_total", "Times that a safeguard began to hold work.", "safeguard"
        )
        self.circuit_state = gauge(
            "circuit_state", "Circuits: 0 closed, 1 half-open, 2 open.", "target"
        )
        self.leases_lost = counter(
            "leases_lost_total", "Attempts stopped because their claim was lost."
        )
        self.recovered = counter("recovered_tasks_total", "Tasks taken back at a start.", "from")
        self.processes_killed = counter(
            "processes_killed_total", "Signals that ended agents.", "signal"
        )
        self.orphans_reaped = counter(
            "orphans_reaped_total", "Agents of a former covend, ended at start."
        )
        self.github_requests = counter(
            "github_requests_total", "Requests to GitHub.", "operation", "status"
        )
        self.github_remaining = gauge(
            "github_rate_remaining", "What GitHub's primary limit has left, as of its last answer."
        )
        self.cost = counter("cost_usd_total", "What agents said they cost.", "agent")
        self.tokens = counter(
            "tokens_total", "Tokens that agents said they used.", "agent", "direction"
        )
        self.store_commit = histogram(
            "store_commit_seconds", "From the hand-over of a batch to its commit on disk.", QUICK_S
        )
        self.store_batch = histogram("store_batch_size", "Writes that shared a commit.", SIZES)
        self.wal_bytes = gauge("wal_bytes", "Size of the write-ahead log.")
        self.reconciled = counter(
            "reconciled_deliveries_total", "Deliveries that only GitHub's log had, now kept."
        )
        self.unknown_delivered = counter(
            "reconcile_unknown_delivered_total",
            "Of these, those that GitHub says were delivered: something here has lost them.",
        )
        self.build = gauge("build_info", "What runs here; always 1.", "version", "python", "sqlite")

    def render(self) -> bytes:
        """Give all of them in Prometheus's text format."""
        return generate_latest(self._counters) + generate_latest(self._gauges)

    def observe_commit(self, seconds: float, writes: int) -> None:
        """Note one commit of the store."""
        self.store_commit.observe(seconds)
        self.store_batch.observe(writes)

    def count_delivery(self, event: str, result: str, source: str = "github") -> None:
        """Count an answer to a sender; one comes with every request, so the child is at hand."""
        child = self._answers.get((source, event, result))
        if child is None:
            child = self.deliveries.labels(source, event, result)
            self._answers[source, event, result] = child
        child.inc()

    def count_callback(self, target: str, result: str, error_code: str, seconds: float) -> None:
        """Count one try to call back, and how long it took."""
        self.callbacks.labels(target, result, error_code).inc()
        self.phase.labels(CALLBACK, result).observe(seconds)
        if error_code == TIMEOUT:
            self.phase_timeouts.labels(CALLBACK).inc()

    def count_agent(self, agent: str, ending: Ending, seconds: float) -> None:
        """Count what an agent's run took and cost."""
        self.phase.labels(Phase.EXECUTOR, ending.outcome).observe(seconds)
        if ending.outcome in (Outcome.TIMED_OUT, Outcome.IDLE_TIMED_OUT):
            self.phase_timeouts.labels(Phase.EXECUTOR).inc()
        usage = ending.result.usage
        self.cost.labels(agent).inc(usage.cost_usd or 0)
        self.tokens.labels(agent, "input").inc(usage.input_tokens or 0)
        self.tokens.labels(agent, "output").inc(usage.output_tokens or 0)

    def count_task(self, rule: str, repository: str, outcome: str) -> None:
        """Count an ended task; a repository beyond the number is `other`."""
        known = self._repositories
        if repository not in known and len(known) < self._repositories_max:
            known.add(repository)
        label = repository if repository in known else OTHER
        self.tasks_ended.labels(rule, label, outcome).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"covend_{name}", text, labels, registry=self._counters)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"covend_{name}", text, labels, registry=self._gauges)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"covend_{name}", text, labels, registry=self._counters, buckets=buckets)
