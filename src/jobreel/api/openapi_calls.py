"""What the OpenAPI document says by hand: the built-in calls and the shapes of answers."""

from typing import Any

Json = dict[str, Any]

JOB_ID = "01936b2e-7d3a-7c21-9f64-0b1f2a3c4d5e"
LINK = f"http://127.0.0.1:8080/v1/files/{JOB_ID}/s1gnatUre0fTh1sF1leXYZ/clip.mp4"

_CODES = {
    400: "The request cannot be what you meant.",
    401: "No key, or not one of ours.",
    404: "Nothing there, or nothing that is yours.",
    413: "The body is over its limit.",
    415: "A body of another kind than this path reads.",
    416: "The range begins after the file's end.",
    422: "The source came, but is not the media this job needs.",
    424: "The source could not be fetched.",
    429: "The queue is full (see `Retry-After`), or too many wrong keys came from your address.",
    500: "Something failed on this side.",
    503: "Not able to take work just now; see `Retry-After`.",
    507: "The disk is nearly full.",
}


def reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def answer_of(description: str, schema: str, example: Any = None) -> Json:
    content = {"schema": reference(schema), **({} if example is None else {"example": example})}
    return {"description": description, "content": {"application/json": content}}


def error_answers(*codes: int) -> Json:
    return {str(code): answer_of(_CODES[code], "Problem") for code in codes}


def result_example(endpoint: str, response: Any) -> Json:
    return {
        "endpoint": endpoint,
        "code": 200,
        "id": None,
        "job_id": JOB_ID,
        "response": response,
        "message": "success",
        "pid": 4711,
        "queue_id": 1234567890,
        "run_time": 0.412,
        "queue_time": 0.004,
        "total_time": 0.416,
        "queue_length": 0,
        "build_number": "1.0.0",
    }


def _object(properties: Json, description: str) -> Json:
    return {"type": "object", "description": description, "properties": properties}


_TEXT: Json = {"type": "string"}
_LABEL = {"type": ["string", "null"], "description": "Your own `id`, echoed."}
_WHOLE: Json = {"type": "integer"}
_SECONDS = {"type": "number", "description": "Seconds."}
_WORD = {"type": "string", "enum": ["queued", "running", "done"]}
_STATUS = {"type": "string", "enum": ["queued", "running", "completed", "failed", "cancelled"]}
_CODE = {"type": "integer", "description": "200, or the status that says whose fault it was."}
_ERROR = {
    "type": "object",
    "properties": {
        "type": {**_TEXT, "description": "Stable; see docs/errors.md."},
        "step": {"type": ["string", "null"]},
        "retryable": {"type": "boolean", "description": "Whether the same request may succeed later."},
        "hint": {"type": ["string", "null"], "description": "What to do about it."},
    },
}
_HERE = {"pid": _WHOLE, "queue_id": _WHOLE, "queue_length": _WHOLE, "build_number": _TEXT}

ENVELOPES: Json = {
    "Result": _object(
        {
            "endpoint": _TEXT,
            "code": _CODE,
            "id": _LABEL,
            "job_id": {"type": ["string", "null"]},
            "response": {"description": "What the job made; null where it failed."},
            "message": {**_TEXT, "description": "`success`, or what went wrong."},
            "run_time": _SECONDS,
            "queue_time": _SECONDS,
            "total_time": _SECONDS,
            "job_status": _WORD,
            "status": _STATUS,
            "error": _ERROR,
            **_HERE,
        },
        "The result of a job or of a call; the body of webhooks.",
    ),
    "Queued": _object(
        {
            "code": _WHOLE,
            "id": _LABEL,
            "job_id": _TEXT,
            "message": _TEXT,
            "max_queue_length": {"type": ["integer", "string"]},
            "warnings": {"type": "array", "items": _TEXT},
            **_HERE,
        },
        "A job was accepted: it is on disk and will run.",
    ),
    "Problem": _object(
        {"message": _TEXT, "code": _WHOLE, "error": _ERROR}, "A refused request. Some carry more fields."
    ),
    "Uploaded": _object({"url": _TEXT, "filename": _TEXT}, "A kept file; its `url` is an input for any job."),
    "Health": _object({"status": _TEXT, "version": _TEXT}, "What this node knows about itself."),
}


def _get_and_post(name: str, operation: Json, asked: Json) -> Json:
    """The same call with its argument in the query or in the body; an operation's id must be its own."""
    query = {"in": "query", "name": asked["name"], "schema": asked["schema"]}
    body = _object({asked["name"]: asked["schema"]}, asked["description"])
    content = {"schema": body, "example": {asked["name"]: asked["example"]}}
    return {
        "get": {**operation, "operationId": f"get_{name}", "parameters": [{**query, "example": asked["example"]}]},
        "post": {
            **operation,
            "operationId": f"post_{name}",
            "requestBody": {"required": asked["required"], "content": {"application/json": content}},
        },
    }


def _both(name: str, operation: Json) -> Json:
    return {method: {**operation, "operationId": f"{method}_{name}"} for method in ("get", "post")}


_SINCE: Json = {
    "name": "since_seconds",
    "description": "The window in seconds; 600 where nothing is said.",
    "schema": {"type": "number", "minimum": 0, "default": 600},
    "example": 3600,
    "required": False,
}
_ASKED_JOB: Json = {
    "name": "job_id",
    "description": "The `job_id` of a submission's answer.",
    "schema": _TEXT,
    "example": JOB_ID,
    "required": True,
}
_JOBS_STATUS: Json = {
    "tags": ["toolkit"],
    "summary": "What all jobs are doing",
    "description": "Every job that is not done yet, or finished within the last `since_seconds`.",
    "responses": {
        "200": answer_of(
            "Job id to word.", "Result", result_example("/v1/toolkit/jobs/status", {JOB_ID: "running"})
        ),
        **error_answers(400, 401, 404, 500),
    },
}
_RECORD = {
    "job_status": "running",
    "job_id": JOB_ID,
    "queue_id": 1234567890,
    "process_id": 4711,
    "response": None,
}
_JOB_STATUS: Json = {
    "tags": ["toolkit"],
    "summary": "What one job is doing, and its result once it is done",
    "responses": {
        "200": answer_of(
            "The job's record.",
            "Result",
            {
                **result_example("/v1/toolkit/job/status", _RECORD),
                "job_status": "running",
                "status": "running",
                "progress": {"fraction": 0.42, "stage": "encode"},
            },
        ),
        **error_answers(400, 401, 404, 500),
    },
}
_AUTHENTICATE: Json = {
    "tags": ["toolkit"],
    "summary": "Is my key right?",
    "responses": {
        "200": answer_of("It is.", "Result", result_example("/authenticate", "Authorized")),
        "401": answer_of("It is not.", "Result"),
    },
}
_TEST: Json = {
    "tags": ["toolkit"],
    "summary": "Store a small file and answer its address",
    "responses": {
        "200": answer_of(
            "It works.", "Result", result_example("/v1/toolkit/test", LINK.replace("clip.mp4", "success.txt"))
        ),
        **error_answers(401, 503, 507),
    },
}
_UPLOAD: Json = {
    "operationId": "upload",
    "tags": ["files"],
    "summary": "Upload a file; its address is an input for any job",
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
                }
            }
        },
    },
    "responses": {
        "200": answer_of("It is kept.", "Uploaded", {"url": LINK, "filename": "clip.mp4"}),
        **error_answers(400, 401, 413, 415, 507),
    },
}
_DOWNLOAD: Json = {
    "operationId": "download",
    "tags": ["files"],
    "summary": "A file by its signed link; Range and HEAD work",
    "security": [],
    "parameters": [
        {"in": "path", "name": name, "required": True, "schema": _TEXT, "example": example}
        for name, example in zip(("artifact_id", "signature", "name"), LINK.split("/")[-3:], strict=True)
    ],
    "responses": {
        "200": {"description": "The file."},
        "206": {"description": "The asked range of it."},
        **error_answers(404, 416),
    },
}
_HEALTH: Json = {
    "operationId": "health",
    "tags": ["service"],
    "summary": "Is this node able to take work?",
    "security": [],
    "responses": {
        "200": answer_of("It is.", "Health", {"status": "ok", "version": "1.0.0"}),
        "503": answer_of("It is not.", "Health", {"status": "unavailable", "version": "1.0.0"}),
    },
}
_JOB_IN_PATH = {"in": "path", "name": "job_id", "required": True, "schema": _TEXT, "example": JOB_ID}

BUILT_IN_PATHS: Json = {
    "/v1/toolkit/jobs/status": _get_and_post("jobs_status", _JOBS_STATUS, _SINCE),
    "/v1/toolkit/job/status": _get_and_post("job_status", _JOB_STATUS, _ASKED_JOB),
    "/v1/toolkit/job/status/{job_id}": {
        "get": {**_JOB_STATUS, "operationId": "job_status_by_path", "parameters": [_JOB_IN_PATH]}
    },
    "/v1/toolkit/authenticate": _both("v1_authenticate", _AUTHENTICATE),
    "/v1/toolkit/test": _both("test", _TEST),
    "/v1/files/upload": {"post": _UPLOAD},
    "/v1/files/{artifact_id}/{signature}/{name}": {"get": _DOWNLOAD},
    "/health": {"get": _HEALTH},
    "/authenticate": _both("authenticate", _AUTHENTICATE),
    "/paid/get/all/jobs/id/status": _get_and_post("paid_jobs_status", _JOBS_STATUS, _SINCE),
    "/paid/get/job/status": _get_and_post("paid_job_status", _JOB_STATUS, _ASKED_JOB),
}
