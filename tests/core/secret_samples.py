"""What secrets of well-known makers look like; none of these opens anything."""

from __future__ import annotations

TOKEN = "ghp_" + "a1B2" * 9
LONG_TOKEN = "ghs_123456_" + "eyJhbGciOi.JIUzI1-NiJ9_" * 22
KEY = "-----BEGIN RSA PRIVATE KEY-----\n{}4Q==\n-----END RSA PRIVATE KEY-----".format(
    "MIIEabcdefgh01234567MIIEabcdefgh01234567MIIEabcdefgh01234567abcd\n" * 20
)
JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3"
SHAPES = (
    TOKEN,
    LONG_TOKEN,
    "gho_" + "x" * 36,
    "ghu_" + "y" * 36,
    "ghr_" + "Z9" * 18,
    "github_pat_11ABCDEFG0" + "z" * 60,
    "sk-ant-api03-" + "Ab_-" * 20,
    "sk-proj-" + "q" * 40,
    "sk-" + "T3BlbkFJ" * 6,
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "xoxb-1234567890-abcdefghijkl",
    "glpat-" + "x1Y2" * 5,
    "npm_" + "a1B2" * 9,
    "pypi-AgEIcHlwaS5vcmc" + "CJDAw" * 10,
    "hf_" + "aBcD" * 9,
    "AIza" + "SyA-_" * 7,
    JWT,
)
