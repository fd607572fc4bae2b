"""toolkit/echo: the message comes back. The template for a new job type."""

from datetime import timedelta
from typing import Annotated, Any

import msgspec

from jobreel.core.request import JobRequest
from jobreel.core.workspace import Workspace
from jobreel.jobs.registry import job_type


class EchoRequest(JobRequest):
    """What to send back."""

    message: Annotated[Any, msgspec.Meta(description="Anything: it comes back as the response.")]


@job_type(
    "toolkit/echo",
    request=EchoRequest,
    summary="Send a message through a real job and get it back",
    example={"message": "hello"},
    example_response="hello",
    time_limit=timedelta(seconds=30),
    light=True,
    aliases=("/paid/toolkit/echo",),
)
def echo(request: EchoRequest, work: Workspace) -> Any:  # noqa: ARG001 - every handler takes both
    """Returns `message` unchanged, after a trip through the queue, a worker and a child process.

    Use it to see that the service works and how fast it answers.
    """
    return request.message
