import grpc

from stores.datastore.calls import CallFailed
from tests.fakes.grpc_failure import Failure


def test_it_is_told_as_a_failure_of_the_service() -> None:
    failed = CallFailed(Failure(grpc.StatusCode.ABORTED))

    assert (failed.code, str(failed)) == (grpc.StatusCode.ABORTED, "Datastore: ABORTED: no luck")
