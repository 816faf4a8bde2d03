"""What a failed call says: the error details that travel in its trailers (docs/errors.md)."""

from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

# Statuses worth another try; every other one says that the request itself must change.
_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.ABORTED,
}
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_UNKNOWN = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}


@dataclass(frozen=True)
class Failure:
    status: grpc.StatusCode
    # A code of docs/errors.md; empty when it was not Millrace that said it (a broken connection, a proxy).
    reason: str
    # The facts needed to act, such as the offsets there are.
    metadata: dict[str, str]
    # Seconds the broker asks to wait, if it does.
    retry_after: float | None

    @property
    def again(self) -> bool:
        """Sending the same request again may succeed."""
        return self.status in _AGAIN

    @property
    def outcome_known(self) -> bool:
        """Nothing was written. Otherwise it may have been, or not."""
        return self.reason != "" and self.status not in _UNKNOWN


def failure_of(error: grpc.RpcError) -> Failure:
    return failure_in(rpc_status.from_call(error), error.code())


def failure_in(status: status_pb2.Status | None, code: grpc.StatusCode | None = None) -> Failure:
    """Also of one item of an answer, which has a google.rpc.Status of its own."""
    reason, metadata, retry_after = "", {}, None
    for detail in status.details if status else ():
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == "millrace":
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    return Failure(code or _CODES[status.code if status else 0], reason, metadata, retry_after)
