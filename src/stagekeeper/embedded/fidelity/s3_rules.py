"""S3: who may not list a bucket is not told what is missing in it.

A HEAD or GET of a key that is not there is 404 only for callers with s3:ListBucket, else 403 (API reference,
HeadObject and GetObject, "Permissions"). Who reads code must tell "may not know" from "is not there".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from stagekeeper.embedded.fidelity.patching import wrap


def install(s3: Any, iam_evaluator: Any, router: Any) -> None:
    def make(original: Any) -> Any:
        async def handle_request(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
            answered = await original(method, path, headers, body, query_params)
            bucket, _, key = unquote(path).lstrip("/").partition("/")
            if answered[0] != 404 or method not in ("GET", "HEAD") or not key or s3.bucket_region(bucket) is None:
                return answered
            caller = router.extract_access_key_id(headers, query_params)
            region, arn = router.extract_region(headers), f"arn:aws:s3:::{bucket}"
            if iam_evaluator.enforce(caller, "s3:ListBucket", "s3", region, resource_arn=arn) is None:
                return answered
            denied = b"" if method == "HEAD" else b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
            return 403, {"Content-Type": "application/xml"}, denied

        return handle_request

    wrap(s3, "handle_request", make)
