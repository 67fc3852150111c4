"""The fuzzer's facts about this server: credentials, ids that exist, and rules that no schema can express.

The run's credential is named by PRESENCE_CREDENTIAL: account, device, cookie or key.
"""

import itertools
import json
import os
import re

import jsonschema_rs
import schemathesis

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
ENDS_SESSION = {"delete_session", "delete_account", "end_session", "end_other_sessions"}
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


def item_schema() -> dict:
    """Returns the document's schema of a notification as JSON Schema."""
    schema = SITE.call("GET", "/openapi.json")["components"]["schemas"]["NotifyItem"]
    for field in schema["properties"].values():
        if field.pop("nullable", False):
            field["type"] = [field["type"], "null"]
    return schema


ITEM = jsonschema_rs.validator_for(item_schema())
turns = itertools.count()
made_here: set[str] = set()


def mostly() -> bool:
    """Returns true three times of four. The fourth keeps the generated value, so that unknown ids are tested too."""
    return next(turns) % 4 != 3


def operation_id(operation) -> str:
    return operation.definition.raw.get("operationId", "")


def headers_of(session: dict) -> dict:
    if CREDENTIAL == "key":
        return {"Authorization": f"Bearer {KEY}"}
    if CREDENTIAL != "cookie":
        return {"Authorization": f"Bearer {session['token']}"}
    # These are the headers that a page of the server's own origin sends.
    return {
        "Cookie": f"__Host-presence={session['token']}",
        "X-CSRF-Token": session["csrf_token"],
        "Origin": SITE.origin,
    }


@schemathesis.auth(refresh_interval=None)
class Credential:
    """The run's credential; for a call that ends it, a credential of a new user."""

    def get(self, case, context):
        fresh = operation_id(context.operation) in ENDS_SESSION and CREDENTIAL != "key"
        return headers_of(SITE.session(SCOPE) if fresh else SESSION)

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), **data}


def name_existing(operation: str, path: dict) -> None:
    """Replaces the Application or the device of a path with one that exists and that the call may change."""
    appid, device = path.get("appid"), path.get("device")
    if isinstance(device, str) and NAME.fullmatch(device) and mostly():
        # The end of a device also ends the session that opened it.
        SITE.connect_device(SITE.session(SCOPE, OWNER["email"])["token"], device)
    if not isinstance(appid, str) or not ID.fullmatch(appid):
        return
    # The fuzzer finds the run's own Application in responses, and must not remove it. Only
    # Applications of the loopback domain are verified, so that no invented domain is looked up.
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


def is_form(case) -> bool:
    return case.media_type == "application/x-www-form-urlencoded"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replaces most generated ids and assertions with existing ones."""
    operation = operation_id(case.operation)
    name_existing(operation, case.path_parameters or {})
    if operation == "show_grant_page" and isinstance((case.query or {}).get("redirect"), str):
        case.query["redirect"] = f"http://{SITE.domain}/joined"
    body = case.body
    if not isinstance(body, dict):
        return
    if operation == "create_session" and isinstance(body.get("assertion"), str) and mostly():
        body["assertion"] = SITE.assertion(SESSION["email"])
        if "email" in body and isinstance(body["email"], str) and mostly():
            body["email"] = SESSION["email"]
    if operation == "grant_application" and isinstance(body.get("redirect"), str):
        # The schema cannot express that a URL is on the Application's verified domain.
        body["redirect"] = f"http://{SITE.domain}/joined"
    if operation == "grant_application" and isinstance(body.get("domain"), str):
        # The schema cannot express that it is the Application's domain of today.
        body["domain"] = SITE.domain
    if operation == "grant_application" and not {"decision", "allow", "disallow"} & body.keys() and is_form(case):
        # The schema cannot express that a form needs one of them.
        body["decision"] = "yes"
    if operation == "send_notifications" and isinstance(body.get("notifications"), list):
        for item in body["notifications"]:
            # A malformed item is rejected for its form, and not for an unknown user.
            wrong = case.meta is not None and case.meta.generation.mode.is_negative
            if isinstance(item, dict) and ID.fullmatch(str(item.get("uid"))) and (wrong or mostly()):
                item["uid"] = UID


@schemathesis.hook
def after_call(context, case, response):
    """Remembers the Applications that the run itself made."""
    if response.status_code == 201 and operation_id(case.operation) == "register_application":
        made_here.add(json.loads(response.content)["appid"])


@schemathesis.check
def refusals_are_described(ctx, response, case):
    """Checks that the errno of an error response is one that the document lists for this call."""
    if response.status_code < 400:
        return
    answer = json.loads(response.content)
    if "errno" not in answer:
        return
    described = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    examples = described.get("content", {}).get("application/json", {}).get("examples", {})
    known = {example["value"].get("errno") for example in examples.values()}
    assert answer["errno"] in known, f"errno {answer['errno']} is not described: {sorted(filter(None, known))}"


@schemathesis.check
def each_notification_is_answered_by_itself(ctx, response, case):
    """Checks that each malformed item is refused in its own result, since the status of the response is 200."""
    if operation_id(case.operation) != "send_notifications" or response.status_code != 200:
        return
    # The body of the clients of 2013 is the list itself.
    items = case.body if isinstance(case.body, list) else case.body["notifications"]
    results = json.loads(response.content)["results"]
    assert len(items) == len(results), f"{len(items)} items, {len(results)} results"
    for item, result in zip(items, results):
        wrong = not ITEM.is_valid(item)
        assert not wrong or result["result"] == "KO", f"accepted, but not valid in the schema: {item}"
