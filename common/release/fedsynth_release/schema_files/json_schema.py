"""The JSON Schema of our schema files, for editors that complete and check while one types.

pydantic derives it from the classes of the schema, so it always describes what is accepted. Faults that
only our own checks find (an atom out of bounds, a rule that does not fit its columns) are reported when
the file is loaded.
"""

from typing import Any

from fedsynth_common.schema.schema import Schema

IDENTIFIER = "urn:fedsynth:schema:1"


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a schema file."""
    described = Schema.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": IDENTIFIER,
        **described,
        "title": "Public schema of a fedsynth study",
        "description": "Columns, roles and rules that all sites agree on before any record is read.",
    }
