"""`./run bench [ingest|agents] [--json]`, and `./run bench once`, which measures nothing: it shows
that what is published is published once.
"""

from __future__ import annotations

import argparse
import sys

from covend.bench import agents, ingest, once

BENCHES = {"ingest": ingest.main, "agents": agents.main}


def main(arguments: list[str]) -> int:
    """Run the named benchmark, or all of them."""
    if arguments[:1] == ["once"]:
        return once.main(arguments[1:])
    parser = argparse.ArgumentParser(prog="./run bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=[*BENCHES], help="default: all")
    parser.add_argument("--json", action="store_true", help="print a JSON object, one a line")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (5)")
    given = parser.parse_args(arguments)
    for name in [given.name] if given.name else BENCHES:
        BENCHES[name](as_json=given.json, rounds=given.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
