"""The OpenAPI document: made from the catalogue and the requests' own types, with an example for every route."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from jobreel.api.openapi_calls import BUILT_IN_PATHS, ENVELOPES, answer_of, error_answers, result_example
from jobreel.api.routes import Route
from jobreel.core.job_type import Catalogue, JobType
from jobreel.core.request import JobRequest, Url

Json = dict[str, Any]

REFERENCE = "#/components/schemas/{name}"
OTHER_NAMES = "Other names"
DESCRIPTION = """\
Submit media jobs, watch them, get their results.

Send your API key as `x-api-key` (or `Authorization: Bearer`). A submission without `webhook_url` waits for
the job and answers its result; with one, or with the header `Prefer: respond-async`, it answers 202 at once.
Every error is JSON: `message` says what happened, `error.type` is stable, `error.hint` says what to do.
"""


def openapi_route(catalogue: Catalogue, version: str) -> Route:
    @cache
    def encoded() -> bytes:
        return msgspec.json.encode(document(catalogue, version))

    async def openapi(_request: Request) -> Response:
        return Response(encoded(), media_type="application/json")

    return Route("/openapi.json", {"GET": openapi})


def document(catalogue: Catalogue, version: str) -> Json:
    """The whole document (OpenAPI 3.1)."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Jobreel", "version": version, "description": DESCRIPTION},
        "servers": [{"url": "."}],  # beside this document, under whatever prefix a proxy gave us
        "security": [{"apiKey": []}, {"bearer": []}],
        "paths": {**_job_paths(catalogue), **BUILT_IN_PATHS},
        "components": {
            "schemas": {**_request_schemas(catalogue), **ENVELOPES},
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _job_paths(catalogue: Catalogue) -> Json:
    paths = {job_type.path: {"post": _operation(job_type)} for job_type in catalogue.values()}
    aliases = {
        path: {"post": _alias(job_type, path)} for job_type in catalogue.values() for path in job_type.aliases
    }
    return paths | aliases


def _operation(job_type: JobType) -> Json:
    return {
        "operationId": job_type.name.replace("/", "_"),
        "tags": [job_type.name.partition("/")[0]],
        "summary": job_type.summary,
        "description": job_type.description,
        "parameters": [_PREFER],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": _schema(job_type.request), "example": dict(job_type.example)}
            },
        },
        "responses": {
            "200": answer_of(
                "The job's result.", "Result", result_example(job_type.path, job_type.example_response)
            ),
            "202": answer_of("The job is accepted and runs on.", "Queued"),
            **error_answers(400, 401, 413, 415, 422, 424, 429, 500, 503, 507),
        },
    }


def _alias(job_type: JobType, path: str) -> Json:
    operation_id = path.strip("/").replace("/", "_")
    summary = f"The same as {job_type.path}"
    return {**_operation(job_type), "operationId": operation_id, "tags": [OTHER_NAMES], "summary": summary}


_PREFER = {
    "name": "Prefer",
    "in": "header",
    "description": "`respond-async`: answer 202 at once. `wait=N`: wait at most N seconds (RFC 7240).",
    "schema": {"type": "string"},
}


def _schema(request: type[JobRequest]) -> Json:
    return {"$ref": REFERENCE.format(name=request.__name__)}


def _request_schemas(catalogue: Catalogue) -> Json:
    requests = {job_type.request for job_type in catalogue.values()}
    _, schemas = msgspec.json.schema_components(requests, schema_hook=_hook, ref_template=REFERENCE)
    for request in requests:
        _add_other_names(schemas[request.__name__], request.also_called)
    return dict(sorted(schemas.items()))


def _hook(kind: type) -> Json:
    if kind is Url:
        return {"type": "string", "format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"}
    raise NotImplementedError(kind)


def _add_other_names(schema: Json, also_called: Mapping[str, str]) -> None:
    """Fields that may be called otherwise are listed under each name; the documented one is ours."""
    properties = schema["properties"]
    for other, ours in also_called.items():
        description = f"Another name of `{ours}`."
        properties[other] = {**properties[ours], "description": description, "deprecated": True}
