"""S3 as a distributed Map needs it: an object in pieces, a bucket in pages, whole objects written.

The parameters of an ItemReader are those of the AWS call, spelt as Step Functions spells them; what the server adds (where to read on,
how much) stands beside them:

    readObject   {"parameters", "offset", "bytes", "etag", "gunzip"}  ->  {"body": base64, "at_end", "etag"}
    listObjects  {"parameters", "after_key"}                          ->  {"items", "last_key", "at_end"}
    writeObject  {"bucket", "key", "body"}                            ->  {}
"""

from __future__ import annotations

import base64
import zlib
from typing import Any

import botocore.exceptions
import shapes

PIECE_BYTES_MAX = 4 * 1024 * 1024
PAGE = 1000
CHUNK = 256 * 1024


def call(caller: Any, request: Any) -> dict:
    wanted = request.parameters if isinstance(request.parameters, dict) else {}
    if request.action == "readObject":
        return _read(caller, request, wanted)
    if request.action == "listObjects":
        return _list(caller, request, wanted)
    if request.action == "writeObject":
        arguments = {"Bucket": wanted.get("bucket"), "Key": wanted.get("key"), "Body": wanted.get("body", "")}
        caller.send_raw("s3", "PutObject", arguments, request)
        return {}
    raise ValueError(f'"{request.action}" is no action of objects')


def _arguments(caller: Any, wanted: dict, action: str) -> dict:
    operation = caller.catalogue.operation(caller.catalogue.model("s3"), action)
    return shapes.to_request(wanted.get("parameters"), operation.input_shape, "aws-sdk")


def _read(caller: Any, request: Any, wanted: dict) -> dict:
    offset, size = int(wanted.get("offset", 0)), min(int(wanted.get("bytes", 0)), PIECE_BYTES_MAX)
    arguments = _arguments(caller, wanted, "getObject")
    if wanted.get("etag"):
        arguments["IfMatch"] = wanted["etag"]
    gunzip = bool(wanted.get("gunzip"))
    if not gunzip:
        arguments["Range"] = f"bytes={offset}-{offset + size - 1}"
    try:
        answer = caller.send_raw("s3", "GetObject", arguments, request)
    except botocore.exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("InvalidRange", "416"):  # Nothing begins there.
            return {"body": "", "at_end": True, "etag": wanted.get("etag") or ""}
        raise
    if gunzip:
        body, at_end = _gunzip(answer["Body"], offset, size)
    else:
        body = answer["Body"].read(size + 1)[:size]
        total = str(answer.get("ContentRange") or "").rpartition("/")[2]
        end = int(total) if total.isdigit() else int(answer.get("ContentLength") or 0)
        at_end = offset + len(body) >= end
    answer["Body"].close()
    return {"body": base64.b64encode(body).decode(), "at_end": at_end, "etag": answer.get("ETag") or ""}


def _gunzip(stream: Any, offset: int, size: int) -> tuple[bytes, bool]:
    """A compressed object has no ranges: what is before the offset is decompressed and thrown away, a chunk at a time."""
    unpacker, skipped, kept = zlib.decompressobj(31), 0, bytearray()
    while len(kept) <= size:
        chunk = unpacker.unconsumed_tail or stream.read(CHUNK)
        if not chunk:
            break
        piece = unpacker.decompress(chunk, CHUNK * 4)
        drop = min(offset - skipped, len(piece))
        skipped += drop
        kept += piece[drop:]
        if unpacker.eof and unpacker.unused_data:  # Several members one after the other.
            rest, unpacker = unpacker.unused_data, zlib.decompressobj(31)
            piece = unpacker.decompress(rest)
            drop = min(offset - skipped, len(piece))
            skipped += drop
            kept += piece[drop:]
    return bytes(kept[:size]), len(kept) <= size


def _list(caller: Any, request: Any, wanted: dict) -> dict:
    arguments = {"MaxKeys": PAGE} | _arguments(caller, wanted, "listObjectsV2")
    if wanted.get("after_key"):
        arguments["StartAfter"] = wanted["after_key"]
    answer = caller.send_raw("s3", "ListObjectsV2", arguments, request)
    items = [
        {
            "Etag": entry.get("ETag", ""),
            "Key": entry["Key"],
            "LastModified": int(entry["LastModified"].timestamp()) if entry.get("LastModified") else 0,
            "Size": entry.get("Size", 0),
            "StorageClass": entry.get("StorageClass", "STANDARD"),
        }
        for entry in answer.get("Contents", [])
    ]
    last = items[-1]["Key"] if items else wanted.get("after_key") or ""
    return {"items": items, "last_key": last, "at_end": not answer.get("IsTruncated") or not items}
