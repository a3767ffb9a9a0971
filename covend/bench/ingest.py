"""Durable ingest against the same server without a store, and against one commit per request:
as it is usually written, and by covend's own writing thread with batches of one.

The contenders are processes of their own, run in turns in one run on a fresh database each time;
the load
comes from another process over loopback, with signed pull_request payloads that all differ and all
ask for a
task. What is printed are the ratios of the requests per second, round by round.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from covend.bench.figures import line, machine, ratios, say
from covend.bench.load import Load, build_requests

CONTENDERS = ("durable", "no_store", "commit_each", "batches_of_one")
CONNECTIONS = 64
WARM_UP = 300
REQUESTS = 3000
REQUESTS_OF_SLOW = 800
SLOW = frozenset({"commit_each", "batches_of_one"})
START_S = 20.0


def main(*, as_json: bool, rounds: int) -> None:
    """Measure and print."""
    requests = build_requests(WARM_UP + REQUESTS)
    rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for number in range(rounds):
        for name in CONTENDERS:
            rates[name].append(_measure(name, requests))
            say(f"round {number + 1} of {rounds}: {name} {rates[name][-1]:,.0f} requests/s")
    report = _report(rates, rounds)
    print(json.dumps(report) if as_json else _text(report))  # noqa: T201  its output


def _measure(name: str, requests: Sequence[bytes]) -> float:
    """Start one contender, warm it up, and give its requests per second."""
    count = REQUESTS_OF_SLOW if name in SLOW else REQUESTS
    with tempfile.TemporaryDirectory(prefix="covend-bench-") as folder:
        server = subprocess.Popen(
            [sys.executable, "-m", "covend.bench.contender", name, folder],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            return asyncio.run(_run(port, requests[: WARM_UP + count]))
        finally:
            server.terminate()
            server.wait(START_S)


async def _run(port: int, requests: Sequence[bytes]) -> float:
    await Load("127.0.0.1", port, CONNECTIONS).send(requests[:WARM_UP])
    begun = time.perf_counter()
    await Load("127.0.0.1", port, CONNECTIONS).send(requests[WARM_UP:])
    return (len(requests) - WARM_UP) / (time.perf_counter() - begun)


def _report(rates: dict[str, list[float]], rounds: int) -> dict[str, object]:
    durable = rates["durable"]
    return {
        "benchmark": "ingest",
        "connections": CONNECTIONS,
        "rounds": rounds,
        "durable_to_no_store": ratios(durable, rates["no_store"]),
        "durable_to_commit_each": ratios(durable, rates["commit_each"]),
        "durable_to_batches_of_one": ratios(durable, rates["batches_of_one"]),
        "requests_per_second": {name: round(statistics.median(rates[name])) for name in rates},
        **machine(),
    }


def _text(report: dict[str, object]) -> str:
    lines = [f"ingest, {report['connections']} connections, {report['rounds']} rounds:"]
    for name, against in (
        ("durable_to_no_store", "the same server without a store"),
        ("durable_to_commit_each", "one commit per request (aiosqlite, a lock)"),
        ("durable_to_batches_of_one", "one commit per request by covend's own writing thread"),
    ):
        ratio = report[name]
        assert isinstance(ratio, dict)
        lines.append(line(ratio, f"of {against}"))
    return "\n".join(lines)
