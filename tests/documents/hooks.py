"""What the fuzzer is told of this server: credentials, ids that exist, and what no schema can say.

The run's credential is named by PRESENCE_CREDENTIAL: account, device, cookie or key.
"""

import itertools
import json
import os
import re

import schemathesis
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import RejectedPositiveData

from presence import Presence

CREDENTIAL = os.environ["PRESENCE_CREDENTIAL"]
SITE = Presence(os.environ["PRESENCE_URL"], os.environ["PRESENCE_ORIGIN"])
SCOPE = "device" if CREDENTIAL == "device" else "account"

# The developer who owns the Applications is also the user who granted them.
OWNER = SITE.session()
SESSION = SITE.session(SCOPE, OWNER["email"])
APP, KEY = SITE.app(OWNER["token"])
UID = SITE.grant(OWNER["token"], APP)

# Calls after which the credential or the Application is not what it was: each gets its own.
ENDS_SESSION = {"delete_session", "delete_account"}
CHANGES_APP = {
    "remove_application",
    "change_application",
    "deactivate_application",
    "create_key",
    "delete_key",
    "revoke_grant",
}
ID = re.compile(r"[0-9a-f]{32}")
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

turns = itertools.count()
made_here: set[str] = set()


def mostly() -> bool:
    """Three times of four: the fourth keeps what was generated, so that what does not exist is asked for too."""
    return next(turns) % 4 != 3


def operation_id(operation) -> str:
    return operation.definition.raw.get("operationId", "")


def headers_of(session: dict) -> dict:
    if CREDENTIAL == "key":
        return {"Authorization": f"Bearer {KEY}"}
    if CREDENTIAL != "cookie":
        return {"Authorization": f"Bearer {session['token']}"}
    # As a page of the server's own origin sends it.
    return {
        "Cookie": f"__Host-presence={session['token']}",
        "X-CSRF-Token": session["csrf_token"],
        "Origin": SITE.origin,
    }


@schemathesis.auth(refresh_interval=None)
class Credential:
    """The run's credential; for a call that ends it, one of somebody new."""

    def get(self, case, context):
        fresh = operation_id(context.operation) in ENDS_SESSION and CREDENTIAL != "key"
        return headers_of(SITE.session(SCOPE) if fresh else SESSION)

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), **data}


def name_existing(operation: str, path: dict) -> None:
    """Puts an Application into a path with which the call may do what it does; or a device."""
    appid, device = path.get("appid"), path.get("device")
    if isinstance(device, str) and NAME.fullmatch(device) and mostly():
        SITE.connect_device(OWNER["token"], device)
    if not isinstance(appid, str) or not ID.fullmatch(appid):
        return
    # The fuzzer meets the run's own Application in answers, which must live on; and a made-up domain is never looked up: only
    # Applications of the loopback domain are verified.
    must = appid == APP or operation == "verify_application"
    if appid in made_here and not must:
        return
    if must or mostly():
        path["appid"] = app_for(operation, path)


def app_for(operation: str, path: dict) -> str:
    if operation == "verify_application":
        return SITE.app(OWNER["token"], active=False)[0]
    if operation not in CHANGES_APP:
        return APP
    appid, _ = SITE.app(OWNER["token"])
    if operation == "revoke_grant":
        SITE.grant(OWNER["token"], appid)
    if operation == "delete_key" and isinstance(path.get("id"), int) and mostly():
        path["id"] = SITE.call("GET", f"/apps/{appid}/keys", bearer=OWNER["token"])["keys"][0]["id"]
    return appid


@schemathesis.hook
def before_call(context, case, kwargs):
    """Puts ids and assertions that exist in the place of most that were made up."""
    operation = operation_id(case.operation)
    name_existing(operation, case.path_parameters or {})
    body = case.body
    if not isinstance(body, dict):
        return
    if operation == "create_session" and isinstance(body.get("assertion"), str) and mostly():
        body["assertion"] = SITE.assertion(SESSION["email"])
        if "email" in body and isinstance(body["email"], str) and mostly():
            body["email"] = SESSION["email"]
    if operation == "send_notifications" and isinstance(body.get("notifications"), list):
        for item in body["notifications"]:
            # An item that is wrong by its form is refused for that, and not for a user whom nobody knows.
            wrong = case.meta is not None and case.meta.generation.mode.is_negative
            if isinstance(item, dict) and ID.fullmatch(str(item.get("uid"))) and (wrong or mostly()):
                item["uid"] = UID


@schemathesis.hook
def after_call(context, case, response):
    """Remembers the Applications that the run itself made."""
    if response.status_code == 201 and operation_id(case.operation) == "register_application":
        made_here.add(json.loads(response.content)["appid"])


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """What the contract asks for and no schema can say. Everything else is a finding."""
    operation = operation_id(case.operation)
    try:
        answer = json.loads(response.content)
    except ValueError:
        return True
    if isinstance(failure, AcceptedNegativeData) and operation == "send_notifications":
        # Each item is taken or refused by itself: the refusal is in its entry, and the call is answered with 200.
        refused = [item for item in answer.get("results", []) if item["result"] == "KO"]
        return not refused
    if isinstance(failure, RejectedPositiveData):
        # Whether a URL is on the Application's verified domain is no matter of form.
        return (operation, answer.get("errno")) != ("grant_application", 46)
    return True
