"""The header fields that pass between proxy and backend; the agent does not rely on the proxy for any of this."""

from dataclasses import replace

from agent.messages import Request, Response
from wire.headers import without_hop_by_hop, without_prefixed
from wire.protocol import OWNED_PREFIX, USER_ID


def clean_request(request: Request, *, forwards_user_id: bool, strips_credentials: bool) -> Request:
    """The request as the backend gets it: end-to-end fields, none of ours but the user that the proxy verified.

    The user is added last: a client could otherwise erase it by naming it in `Connection`.
    """
    headers = without_prefixed(without_hop_by_hop(request.head.headers), OWNED_PREFIX)
    if strips_credentials:
        headers = headers.without("Authorization")
    if forwards_user_id and request.user_id:
        headers = headers.adding((USER_ID, request.user_id))
    return replace(request, head=replace(request.head, headers=headers))


def clean_response(response: Response) -> Response:
    """The backend's answer as it travels on: end-to-end fields, none of ours."""
    headers = without_prefixed(without_hop_by_hop(response.head.headers), OWNED_PREFIX)
    return replace(response, head=replace(response.head, headers=headers))
