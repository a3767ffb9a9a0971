"""The headers that GitHub sends with a webhook, signature included.

https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers
Written apart from the daemon's own check, so that each proves the other.
"""

import hashlib
import hmac
import json

from covend.demo.records import JsonObject

HOOK_ID = 486_120_337


def encode(payload: JsonObject) -> bytes:
    """Write a payload as GitHub does: compact, with non-ASCII characters as they are."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def signed(
    body: bytes,
    secret: str | bytes,
    event: str,
    delivery: str,
    *,
    hook_id: int = HOOK_ID,
    target_type: str = "integration",
    target_id: int = 1,
) -> dict[str, str]:
    """Make the headers of one delivery; `delivery` is the GUID in `X-GitHub-Delivery`."""
    key = secret.encode() if isinstance(secret, str) else secret
    return {
        "User-Agent": "GitHub-Hookshot/4e1d8c2",
        "Content-Type": "application/json",
        "Accept": "*/*",
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": str(hook_id),
        "X-GitHub-Hook-Installation-Target-ID": str(target_id),
        "X-GitHub-Hook-Installation-Target-Type": target_type,
        "X-Hub-Signature": f"sha1={hmac.new(key, body, hashlib.sha1).hexdigest()}",
        "X-Hub-Signature-256": f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}",
    }
