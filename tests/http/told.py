"""What an answer tells."""

import httpx2


def told(answer: httpx2.Response) -> tuple[int, bytes, dict[str, str]]:
    """Everything an answer tells, but for what is fresh each time."""
    fresh = {"date", "x-request-id", "dpop-nonce"}
    headers = {name: value for name, value in answer.headers.items() if name not in fresh}
    return answer.status_code, answer.content.replace(answer.headers["x-request-id"].encode(), b"(id)"), headers
