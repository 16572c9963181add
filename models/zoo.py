"""The zoo: the detectors that were tested, by name and SHA-256, and where their files lie."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from edge import yaml_model
from edge.config import ConfigError

ZOO = Path(__file__).with_name("zoo.yaml")
ROOT = Path(__file__).parents[1]
COPYLEFT = "AGPL-3.0-only"

Address = Annotated[str, Field(pattern=r"^https?://\S+$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Model(BaseModel):
    """A detector: what its file is, where it comes from, and how well it did on our machine.

    `input` is width x height in pixels; `source` is a project's page, or what made the file here;
    `sha256` and `bytes` are of the file that was tested;
    `get` says how to come by it where no address gives that very file. Figures are absent until
    `passerby-models bench` has given them: AP at IoU 0.5 of people on 128 pictures of COCO's
    val2017, on a sample of PETS09-S2L1 and on its 795 frames, and milliseconds a frame with one
    thread. `reference` is COCO's and the sample's AP by another decoder than ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
    family: Literal["yolox", "ultralytics", "end-to-end", "deim"]
    input: Annotated[str, Field(pattern=r"^[1-9]\d*x[1-9]\d*$")]
    classes: Annotated[int, Field(gt=0)]
    licence: Literal["Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "AGPL-3.0-only"]
    source: Annotated[str, Field(pattern=r"^(https?://\S+|models/\w+\.py)$")]
    download: Address | None = None
    get: str = ""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(gt=0)]
    coco_ap50: Share | None = None
    pets_ap50: Share | None = None
    pets_all_ap50: Share | None = None
    reference: tuple[Share, Share] | None = None
    ms: Annotated[float, Field(gt=0)] | None = None

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.onnx"


class _Zoo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    models: tuple[Model, ...]

    @field_validator("models")
    @classmethod
    def _differ(cls, models: tuple[Model, ...]) -> tuple[Model, ...]:
        for key in ("name", "sha256"):
            seen: set[str] = set()
            for index, model in enumerate(models):
                value = getattr(model, key)
                if value in seen:
                    raise yaml_model.wrong(f"a second model with {value}", index, key)
                seen.add(value)
        return models


@cache
def load(path: Path = ZOO) -> Mapping[str, Model]:
    """The models of a zoo by name.

    Raises:
        ConfigError: every problem, a line each: file, line, key, what is wrong and the fix.
    """
    try:
        models = yaml_model.read(path).validate(_Zoo).models
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return {model.name: model for model in models}


def named(name: str, models: Mapping[str, Model]) -> Model:
    """The model of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in models:
        raise ConfigError(f"no model is named {name!r}; known are {', '.join(models)}")
    return models[name]


def folders() -> tuple[Path, ...]:
    """Where files of the zoo are looked for: PASSERBY_MODELS, the shared material, beside here."""
    own = os.environ.get("PASSERBY_MODELS")
    return (*([Path(own)] if own else []), shared() / "models", ZOO.parent)


def shared() -> Path:
    """The folder of test material: PASSERBY_SHARED, or `shared` beside the repository."""
    return Path(os.environ.get("PASSERBY_SHARED") or ROOT.parent / "shared")


def find(model: Model, places: Iterable[Path]) -> Path | None:
    """The model's file in the first of the places that has it, whole and as it was tested."""
    return next((path for place in places if is_file_of(model, path := place / model.file)), None)


def is_file_of(model: Model, path: Path) -> bool:
    """Whether a path holds the very file that was tested."""
    try:
        return path.stat().st_size == model.bytes and sha256(path) == model.sha256
    except OSError:
        return False


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
