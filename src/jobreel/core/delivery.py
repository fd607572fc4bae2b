"""Deliveries: one webhook to be sent, and how its sending ended."""

from dataclasses import dataclass
from enum import StrEnum


class DeliveryStatus(StrEnum):
    """Where one webhook is."""

    PENDING = "pending"  # to be sent, or to be sent again
    DELIVERED = "delivered"  # the receiver answered 2xx
    FAILED = "failed"  # given up
    BLOCKED = "blocked"  # its address may not be visited from here


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook that is due. `delivery_id` is its `webhook-id`: the same at every try."""

    delivery_id: str
    job_id: str
    url: str
    host: str  # of the receiver, with its port
    tries: int  # made before this one
    first_try_at: float | None


@dataclass(frozen=True, slots=True)
class DeliveryTried:
    """What one try came to. `next_in_seconds` is None where there is nothing more to do."""

    status: DeliveryStatus
    http_status: int | None
    note: str
    next_in_seconds: float | None = None
