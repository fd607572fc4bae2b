"""The docs: complete, consistent, with examples that work, and vendored as they were published."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from tests.api.service import CATALOGUE, Service

from jobreel.api.docs import STATIC
from jobreel.api.openapi import document
from jobreel.core.job_type import JobType
from jobreel.jobs import registry

PAGES = {"/", "/docs", "/docs/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"}
JOB_TYPES = registry.load()
DOCUMENT = document(JOB_TYPES, "1.2.3")


def values_of(node: Any, key: str) -> Iterator[Any]:
    """Everything that stands under this key, at any depth."""
    if isinstance(node, dict):
        if key in node:
            yield node[key]
        for inner in node.values():
            yield from values_of(inner, key)
    elif isinstance(node, list):
        for inner in node:
            yield from values_of(inner, key)


def test_every_route_of_the_service_is_documented_and_no_other(service: Service) -> None:
    routes = {path.replace(":path}", "}") for path in service.app.routes.paths} - PAGES

    assert set(document(CATALOGUE, "1.2.3")["paths"]) == routes


def test_the_document_is_served_without_a_key(service: Service) -> None:
    with service.client_with(None) as stranger:
        answer = stranger.get("/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == json.loads(json.dumps(document(CATALOGUE, "1.2.3")))


def test_every_reference_leads_somewhere() -> None:
    for reference in values_of(DOCUMENT, "$ref"):
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def test_no_two_operations_share_a_name() -> None:
    names = list(values_of(DOCUMENT["paths"], "operationId"))

    assert len(names) == len(set(names))
    assert len(names) == sum(len(methods) for methods in DOCUMENT["paths"].values())


@pytest.mark.parametrize("job_type", JOB_TYPES.values(), ids=JOB_TYPES)
def test_every_job_type_is_shown_with_an_example_that_is_accepted(job_type: JobType) -> None:
    for path in job_type.paths:
        body = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]

        job_type.request.parse(body["example"])


def test_other_names_of_a_field_are_documented() -> None:
    for job_type in JOB_TYPES.values():
        schema = DOCUMENT["components"]["schemas"][job_type.request.__name__]

        assert set(job_type.request.also_called) <= set(schema["properties"])


def test_the_examples_of_the_built_in_calls_work(client: httpx2.Client) -> None:
    for path in ("/v1/toolkit/jobs/status", "/paid/get/all/jobs/id/status"):
        example = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]

        answer = client.post(path, json=example)

        assert answer.status_code == 200
        shown = DOCUMENT["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["example"]
        assert answer.json().keys() == shown.keys()


def test_the_vendored_files_are_as_they_were_published() -> None:
    vendored = json.loads((STATIC / "vendored.json").read_text())

    for name, digest in vendored["sha256"].items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
    assert "swagger-ui.LICENSE" in vendored["sha256"]
