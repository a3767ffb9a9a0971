from __future__ import annotations

import json

from covend.config.json_schema import json_schema
from tests.cli.operator_desk import invoke


def test_the_schema_is_printed_as_json_for_a_file_of_its_own() -> None:
    for args in (("schema",), ("schema", "--json")):
        done = invoke(*args)
        assert done.exit_code == 0
        assert json.loads(done.stdout) == json_schema()
        assert done.stderr == ""
