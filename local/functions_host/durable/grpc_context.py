"""The context of a backend call that comes from this process instead of a gRPC connection."""

from typing import NoReturn, cast

import grpc


class Refused(Exception):
    """The backend refused a call; `code` is the gRPC status."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        super().__init__(details)
        self.code = code


class _InProcess:
    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise Refused(code, details)

    def time_remaining(self) -> None:
        return None

    def is_active(self) -> bool:
        return True


IN_PROCESS = cast(grpc.ServicerContext, _InProcess())
