"""The description of the service that programs read: OpenAPI 3.1."""

from typing import Any

from fedsynth_release.generator import Generator
from fedsynth_release.serving.formats import FORMATS


def openapi(generator: Generator, version: str, most: int) -> dict[str, Any]:
    """The document, with the columns of this generator's table and the limit on rows."""
    schema = generator.schema
    names = ", ".join(column.name for column in schema.columns)
    content: dict[str, Any] = {media.partition(";")[0]: {} for media, _ in FORMATS.values()}
    documents = {
        "/card": "The model card, in Markdown.",
        "/statement": "The privacy statement: what was promised and charged.",
        "/schema": "The public schema: columns, bounds and categories.",
        "/report": "The report, if the release has one.",
        "/health": "Whether the service answers.",
    }
    paths: dict[str, Any] = {
        "/rows": {
            "get": {
                "summary": f"Synthetic records of {schema.name}, with the columns {names}.",
                "parameters": _parameters(most),
                "responses": {
                    "200": {"description": "The records.", "content": content},
                    "400": {"description": "A parameter is not usable; `error` says which."},
                    "503": {"description": "Too many requests wait; try again later."},
                },
            }
        },
        **{
            path: {"get": {"summary": words, "responses": {"200": {"description": words}}}}
            for path, words in documents.items()
        },
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"fedsynth: {schema.name}",
            "version": version,
            "description": f"Synthetic records of release {generator.statement.release_id}.",
        },
        "paths": paths,
    }


def _parameters(most: int) -> list[dict[str, Any]]:
    return [
        _parameter("rows", "Number of records.", "integer", minimum=1, maximum=most),
        _parameter("seed", "The same seed draws the same records.", "integer", minimum=0),
        _parameter(
            "where",
            "A condition that every record meets, such as age>=65; may be repeated.",
            "array",
            items={"type": "string"},
        ),
        _parameter("rebalance", "COLUMN or COLUMN=VALUE:SHARE,...: other shares.", "string"),
        _parameter("format", "The format.", "string", enum=sorted(FORMATS)),
    ]


def _parameter(name: str, words: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": words,
        "schema": {"type": kind, **more},
    }
