"""A model's file, brought to a folder and known to be the one that was tested."""

import errno
import http.client
import os
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edge.config import EdgeError
from models import zoo

TIME_OUT = 30.0
"""Seconds without an answer from the server until it is given up."""
CHUNK = 1 << 16


class FetchError(EdgeError):
    """A model's file that could not be had."""


def get(
    model: zoo.Model,
    folder: Path,
    *,
    accept_agpl: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Path:
    """The model's file in a folder: left there, copied from where the zoo is kept, or downloaded.

    It appears there whole and verified or not at all, and nothing else is ever replaced. `tell`
    is given a line now and then.

    Raises:
        FetchError: an AGPL model that was not accepted, no address, no network, another file than
            the one that was tested, or a folder that takes none.
    """
    if model.licence == zoo.COPYLEFT and not accept_agpl:
        raise FetchError(
            f"{model.name} is under {model.licence}: whoever ships it, or runs a service with it, "
            "has to offer the users the source of the whole work under that licence, or buy "
            "another licence from its makers. Say --accept-agpl if that is what you want"
        )
    target = folder / model.file
    if zoo.is_file_of(model, target):
        return target
    if target.exists():
        raise FetchError(
            f"{target}: another file than the one that was tested stands here: move it away, or "
            "give --out another folder"
        )
    kept = zoo.find(model, zoo.folders())
    if kept is not None:
        tell(f"{model.name}: copied from {kept}")
        chunks = _read(kept)
    elif model.download is not None:
        tell(f"{model.name}: {model.bytes / 1e6:.1f} MB from {model.download}")
        chunks = _download(model, model.download)
    else:
        places = ", ".join(str(place) for place in zoo.folders())
        raise FetchError(f"{model.file}, as it was tested, is in none of {places}. {model.get}")
    with _placed(target, model) as file:
        done, told = 0, 0
        for chunk in chunks:
            file.write(chunk)
            done += len(chunk)
            if 4 * done // model.bytes > told:
                told = 4 * done // model.bytes
                tell(f"{model.name}: {25 * told} %")
    return target


@contextmanager
def _placed(target: Path, model: zoo.Model) -> Iterator[IO[bytes]]:
    """A file to write to that takes the target's place once it is whole, synced and verified."""
    part = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", suffix=".part", delete=False
        ) as file:
            part = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        found = zoo.sha256(part)
        if found != model.sha256:
            raise FetchError(
                f"{model.name}: what came has the SHA-256 {found}, and the file that was tested "
                f"has {model.sha256}: it was deleted. Somebody changed it on its way or at its "
                "source; do not use it from elsewhere before you know why"
            )
        part.chmod(0o644)
        part.rename(target)
        # The new name must outlast a power cut too.
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FetchError(
                f"{target.parent}: the disk is full: {model.name} needs {model.bytes / 1e6:.1f} "
                "MB; make room, or give --out another folder"
            ) from error
        raise FetchError(
            f"{target.parent}: {error.strerror}: give --out a folder that can be written to"
        ) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _download(model: zoo.Model, address: str) -> Iterator[bytes]:
    """The bytes at an address: no fewer than it announces, no more than the model has."""
    done = 0
    try:
        with urllib.request.urlopen(address, timeout=TIME_OUT) as answer:
            announced = answer.length or 0
            while chunk := answer.read(CHUNK):
                done += len(chunk)
                if done > model.bytes:
                    raise FetchError(
                        f"{address}: more than the {model.bytes} bytes of the file that was "
                        "tested, so it is another: it was deleted"
                    )
                yield chunk
    except urllib.error.HTTPError as error:
        raise FetchError(
            f"{address}: the server answered {error.code} {error.reason}: look for the file at "
            f"{model.source}"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = " ".join(str(getattr(error, "reason", error)).split())
        raise FetchError(
            f"{address}: cannot be reached ({reason}): look at the network and try again"
        ) from error
    if done < announced:
        raise FetchError(
            f"{address}: the connection ended after {done} of {announced} bytes: try again"
        )
