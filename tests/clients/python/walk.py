"""The flow of a developer, a user and an AppService, with the client that was generated from the document.

The type checker rejects everything that is not in the document.
"""

import http.server
import sys
import threading
from typing import TypeVar

from presence_api import AuthenticatedClient, Client
from presence_api.api.app_service import poll_presence, send_notifications
from presence_api.api.applications import (
    activate_application,
    get_application,
    register_application,
    verify_application,
)
from presence_api.api.development import make_dev_assertion
from presence_api.api.grants import grant_application
from presence_api.api.session import create_session
from presence_api.models import (
    Application,
    AppState,
    Assertion,
    AssertionRequest,
    Granted,
    GrantRequest,
    Ko,
    Notified,
    Notify,
    NotifyItem,
    PollAnswer,
    RegisterApplication,
    Scope,
    SessionOpened,
    SignIn,
    Status,
    Switched,
)

URL = sys.argv[1]
Answer = TypeVar("Answer")


def expect(answer: object, wanted: type[Answer]) -> Answer:
    """Returns the result of a call. An error response ends the flow."""
    assert isinstance(answer, wanted), answer
    return answer


def with_credential(credential: str) -> AuthenticatedClient:
    return AuthenticatedClient(base_url=URL, token=credential)


def sign_in(email: str) -> AuthenticatedClient:
    anonymous = Client(base_url=URL)
    made = expect(make_dev_assertion.sync(client=anonymous, body=AssertionRequest(email=email)), Assertion)
    wanted = SignIn(assertion=made.assertion, scope=Scope.ACCOUNT)
    session = expect(create_session.sync(client=anonymous, body=wanted), SessionOpened)
    assert session.email == email
    return with_credential(session.token)


class Domain(http.server.BaseHTTPRequestHandler):
    """A domain that serves a key."""

    key = ""

    def do_GET(self) -> None:
        body = Domain.key.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:
        pass


def main() -> None:
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Domain)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    developer = sign_in("python-developer@dev.localhost")
    wanted = RegisterApplication(name="Chat", domain=f"127.0.0.1:{site.server_port}")
    registered = expect(register_application.sync(client=developer, body=wanted), Application)
    appid = registered.appid
    assert registered.state is AppState.REGISTERED
    Domain.key = registered.domain_key
    verified = expect(verify_application.sync(appid, client=developer), Application)
    assert verified.state is AppState.VERIFIED
    activated = expect(activate_application.sync(appid, client=developer), Switched)
    assert activated.state is AppState.ACTIVE
    service = with_credential(expect(activated.api_key, str))

    alice = sign_in("python-alice@dev.localhost")
    uid = expect(grant_application.sync(appid, client=alice, body=GrantRequest()), Granted).uid

    item = NotifyItem(uid=uid, message="Lunch?", action="https://chat.example/lunch", ttl=60)
    body = Notify(notifications=[item])
    notified = expect(send_notifications.sync(appid, client=service, body=body), Notified)
    assert [(one.result, one.queue_size) for one in notified.results] == [("OK", 1)], notified
    polled = expect(poll_presence.sync(appid, client=service, uid=[uid]), PollAnswer)
    assert [(one.uid, one.status) for one in polled.presence] == [(uid, Status.OFFLINE)], polled

    # Error responses have types too.
    refused = poll_presence.sync_detailed(appid, client=with_credential("prs_wrong"))
    assert refused.status_code == 401
    ko = expect(refused.parsed, Ko)
    assert (ko.result, ko.errno) == ("KO", 41), ko
    assert expect(get_application.sync("0" * 32, client=alice), Ko).errno == 40
    print("Python client: registered, verified, activated, granted, notified, polled, and refused as the document says")


if __name__ == "__main__":
    main()
