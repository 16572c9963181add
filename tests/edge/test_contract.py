import json
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from edge import contract, wire
from tests.edge.test_wire import BATCH

DOCS = Path(__file__).parents[2] / "docs"


def test_what_is_published_is_what_the_program_says(tmp_path: Path) -> None:
    contract.write(tmp_path)
    made = {str(path.relative_to(tmp_path)): path.read_text() for path in tmp_path.rglob("*.*")}
    published = {name: (DOCS / name).read_text() for name in made if (DOCS / name).exists()}
    assert made == published, "run `make contract`"
    assert {path.name for path in (DOCS / "schema").iterdir()} == {
        Path(name).name for name in made if name.startswith("schema")
    }


@pytest.mark.parametrize("path", sorted((DOCS / "schema").glob("*.json")), ids=lambda p: p.stem)
def test_each_schema_is_a_schema(path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


def test_a_batch_fits_its_schema_and_a_foreign_event_does_not() -> None:
    schema = json.loads((DOCS / "schema" / "Batch.json").read_text())
    validator = jsonschema.Draft202012Validator(schema)
    body = msgspec.json.decode(wire.encode(BATCH))
    assert list(validator.iter_errors(body)) == []
    body["events"][0] = {"type": "face", "image": "…"}
    assert list(validator.iter_errors(body)) != []


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = yaml.safe_load((DOCS / "asyncapi.yaml").read_text())
    assert document["asyncapi"] == "3.0.0"

    def follow(part: object) -> None:
        if isinstance(part, dict):
            target = part.get("$ref")
            if isinstance(target, str) and target.startswith("#/"):
                place = document
                for step in target[2:].split("/"):
                    place = place[step]
            elif isinstance(target, str):
                assert (DOCS / target).is_file(), target
            for inner in part.values():
                follow(inner)
        elif isinstance(part, list):
            for inner in part:
                follow(inner)

    follow(document)
