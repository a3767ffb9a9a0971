"""Deliveries: lists of them, and one with all that came with it and what each rule said of it."""

from __future__ import annotations

from aiohttp import web

from covend.core.errors import NotFoundError
from covend.core.model import DeliveryId
from covend.core.sources.request import Refused, parse_object, text_of
from covend.core.states import DeliveryState
from covend.store.protocol import Deliveries, StoredDelivery
from covend.web.api import shapes
from covend.web.api.query import NUMBER_CURSOR, Query


class DeliveriesApi:
    """`/api/v1/deliveries`."""

    def __init__(self, deliveries: Deliveries) -> None:
        """Read from the store."""
        self._deliveries = deliveries

    async def page(self, request: web.Request) -> web.Response:
        """List."""
        query = Query(request, "state", "event", "repository", "limit", "cursor")
        items, following = await self._deliveries.page(
            limit=query.limit(),
            cursor=query.cursor(NUMBER_CURSOR),
            state=query.state(DeliveryState),
            event=query.text("event"),
            repository=query.text("repository"),
        )
        return shapes.page(shapes.delivery, items, following)

    async def one(self, request: web.Request) -> web.Response:
        """Give one."""
        Query(request)
        identifier = request.match_info["id"]
        stored = await self._deliveries.find(DeliveryId(identifier))
        if stored is None:
            raise NotFoundError(f"There is no delivery {identifier}.", id=identifier)
        return shapes.answer(_whole(stored))


def _whole(stored: StoredDelivery) -> shapes.Shape:
    text = text_of(stored.headers, stored.body)
    payload = text if isinstance(text, Refused) else parse_object(text)
    return {
        **shapes.delivery(stored.delivery),
        "headers": stored.headers,
        "verdicts": [shapes.verdict(verdict) for verdict in stored.verdicts],
        "payload": None if isinstance(payload, Refused) else payload,
    }
