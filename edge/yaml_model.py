"""YAML to pydantic models, with errors that name the file, the line, the key and the fix."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]


def wrong(message: str, *at: int | str) -> PydanticCustomError:
    """An error for a validator to raise; `at` leads from its field to the place below it."""
    return PydanticCustomError("wrong", "{message}", {"message": message, "at": at})


@dataclass(frozen=True)
class Document:
    """A YAML file: its content, and the nodes that know their lines."""

    path: Path
    data: Any
    root: yaml.Node

    def validate(self, model: type[Model]) -> Model:
        """The content as a model; its validators find the file's folder in their context.

        Raises:
            ValueError: every problem, a line each.
        """
        try:
            return model.model_validate(self.data, context={"folder": self.path.parent})
        except ValidationError as error:
            problems = error.errors(include_url=False)
        raise ValueError("\n".join(self._sentence(model, problem) for problem in problems))

    def _sentence(self, model: type[BaseModel], problem: ErrorDetails) -> str:
        location: Location = (*problem["loc"], *problem.get("ctx", {}).get("at", ()))
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
        place = place.lstrip(".") or "the file"
        return f"{self.path}:{_line(self.root, location)}: {place}: {_advice(model, problem)}"


def read(path: Path) -> Document:
    """Read one YAML document.

    Raises:
        ValueError: no such file, not UTF-8, not YAML, empty, or keys that stand there twice.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if root is None:
            raise ValueError(f"{path}: the file is empty: write at least its `id:`")
        twice = [
            f"{path}:{key.start_mark.line + 1}: {key.value}: the key stands here a second time; "
            "leave one out"
            for key in _twice(root)
        ]
        if twice:
            raise ValueError("\n".join(twice))
        return Document(path, loader.construct_document(root), root)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}: give the path of a YAML file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text: save it as UTF-8") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ValueError(f"{path}{line}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path}: not YAML: {error}") from error


def _twice(node: yaml.Node) -> Iterable[yaml.ScalarNode]:
    """The keys that stand a second time in their mapping, which YAML readers pass over."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item)
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key
                seen.add(key.value)
            yield from _twice(value)


def _line(node: yaml.Node, location: Location) -> int:
    """The line, from 1, of the deepest node on the way to a place."""
    line = node.start_mark.line
    for part in location:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next((pair for pair in node.value if pair[0].value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            found = (node.value[part], node.value[part]) if part < len(node.value) else None
        if found is None:
            break
        line, node = found[0].start_mark.line, found[1]
    return line + 1


def _advice(model: type[BaseModel], problem: ErrorDetails) -> str:
    kind, location, value = problem["type"], problem["loc"], problem["input"]
    if kind == "wrong":
        return problem["msg"]
    if kind == "missing":
        return f"missing; add `{location[-1]}: ...`"
    if kind == "extra_forbidden":
        known = _fields(model, location[:-1])
        close = difflib.get_close_matches(str(location[-1]), known, 1)
        advice = f'did you mean "{close[0]}"?' if close else f"known are {', '.join(known)}"
        return f"unknown key; {advice}"
    if kind == "string_pattern_mismatch":
        return f"{value!r} is no id: use 1 to 40 of a-z, 0-9 and -"
    message = problem["msg"][:1].lower() + problem["msg"][1:]
    shown = isinstance(value, str | int | float) and "password" not in location
    return f"{message}, not {value!r}" if shown else message


def _fields(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that are known at a place in a model."""
    for part in location:
        if isinstance(part, str) and part in model.model_fields:
            model = next(iter(_models_in(model.model_fields[part].annotation)), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
