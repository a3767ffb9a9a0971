from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from covend.telemetry.metrics import Metrics


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric by its labels' values, in the order of the labels' names."""
    return {
        tuple(sample.labels[label] for label in sorted(sample.labels)): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == f"covend_{name}"
    }


def test_a_gauge_and_a_counter_may_share_a_name_but_for_its_end() -> None:
    metrics = Metrics()
    metrics.tasks.labels("queued").set(3)
    metrics.count_task("review", "acme/till", "completed")
    assert samples(metrics, "tasks") == {("queued",): 3}
    assert samples(metrics, "tasks_total") == {("completed", "acme/till", "review"): 1}


def test_repositories_beyond_the_number_are_counted_together() -> None:
    metrics = Metrics(repositories_max=2)
    for repository in ("a/a", "b/b", "c/c", "d/d", "a/a"):
        metrics.count_task("review", repository, "completed")
    assert samples(metrics, "tasks_total") == {
        ("completed", "a/a", "review"): 2,
        ("completed", "b/b", "review"): 1,
        ("completed", "other", "review"): 2,
    }


def test_a_commit_is_seen_in_both_its_sizes() -> None:
    metrics = Metrics()
    metrics.observe_commit(0.003, 5)
    assert samples(metrics, "store_commit_seconds_sum") == {(): 0.003}
    assert samples(metrics, "store_batch_size_sum") == {(): 5}


def test_two_of_them_do_not_share_their_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.leases_lost.inc()
    assert samples(other, "leases_lost_total") == {(): 0}
