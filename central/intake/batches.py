"""A body in JSON as calls: one that cannot be decoded takes no other with it."""

import re
from typing import Any

import msgspec

from central.config import CentralError


class RefusedError(CentralError):
    """A call that cannot be taken; the words say what is wrong with it."""


_NULL = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, rename="camel"):
    """What a batch says of all its calls."""

    batch: list[msgspec.Raw]
    write_key: str | None = None
    sent_at: msgspec.Raw = _NULL
    context: msgspec.Raw = _NULL


class _Key(msgspec.Struct, rename="camel"):
    write_key: str | None = None


_envelope = msgspec.json.Decoder(Envelope)
_key = msgspec.json.Decoder(_Key)
_object = msgspec.json.Decoder(dict[str, Any])
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises."""


def write_key(body: bytes) -> str | None:
    """The write key that a body names, as SDKs in a browser do."""
    try:
        return _key.decode(body).write_key
    except UNREADABLE:
        try:
            return split(body).write_key
        except RefusedError:
            return None


def split(body: bytes) -> Envelope:
    """A batch as its calls, each still raw. Raises RefusedError.

    One call that cannot be decoded (a lone surrogate, 10,000 levels) must not take the others with
    it, so that where the whole is refused its calls are cut out by their brackets.
    """
    try:
        return _envelope.decode(body)
    except msgspec.ValidationError as error:
        raise RefusedError(f"batch: {error}") from error
    except UNREADABLE as error:
        calls, rest = _cut(body)
        try:
            envelope = _envelope.decode(rest)
        except UNREADABLE:
            raise RefusedError(f"batch: {words(error)}") from error
        return msgspec.structs.replace(envelope, batch=[msgspec.Raw(call) for call in calls])


_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


def _cut(body: bytes) -> tuple[list[bytes], bytes]:
    """The elements of the outermost `batch`, and the body without them."""
    depth, calls, begin, opened, name = 0, list[bytes](), 0, 0, b""
    for token in _TOKEN.finditer(body):
        mark = token[0]
        if mark in b"[{":
            depth += 1
            if depth == 2 and mark == b"[" and name == b'"batch"':
                opened = begin = token.end()
        elif mark in b"]},":
            if opened and depth == 2:
                calls.append(body[begin : token.start()].strip())
                begin = token.end()
            depth -= mark != b","
            if opened and depth == 1:
                return [call for call in calls if call], body[:opened] + body[token.start() :]
        elif depth == 1:
            name = mark
    return [], b""


def decodable(body: bytes) -> None:
    """Raises RefusedError for what is no JSON at all, or no object."""
    try:
        _object.decode(body)
    except RecursionError:
        return
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RefusedError(str(error)) from error


def alone(envelope: Envelope, call: bytes) -> bytes:
    """A batch of one call that says what its batch said: what is kept of a call that is refused."""
    said = msgspec.json.encode({"sentAt": envelope.sent_at, "context": envelope.context})
    return said[:-1] + b',"batch":[' + call + b"]}"


def words(error: BaseException) -> str:
    """Why a body cannot be decoded."""
    return "too deep" if isinstance(error, RecursionError) else str(error)
