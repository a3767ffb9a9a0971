"""The JSON API under /api/v1, one file per noun. It only reads: GET changes nothing."""
