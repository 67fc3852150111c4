"""PyBrowserID on both sides: its assertions against the server, the development issuer's against its verifier."""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import browserid
from browserid.jwt import RS256Key
from browserid.supportdoc import SupportDocumentManager
from browserid.tests.support import get_keypair, make_assertion
from browserid.utils import encode_json_bytes
from browserid.verifiers.local import LocalVerifier
from cryptography.hazmat.primitives.asymmetric import rsa

from presence import Server

INVALID_ASSERTION = 34
EMAIL_MISMATCH = 35


def rsa_keypair():
    """A new key as PyBrowserID holds them: the public half, and what signs."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    public = {
        "algorithm": "RS",
        "n": str(numbers.public_numbers.n),
        "e": str(numbers.public_numbers.e),
    }
    return public, RS256Key({**public, "d": str(numbers.d)})


class Issuer:
    """An issuer on a loopback port that publishes a key."""

    def __init__(self, keypair):
        self.keypair = keypair
        document = encode_document(keypair[0])

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                found = self.path.startswith("/.well-known/browserid?domain=")
                self.send_response(200 if found else 404)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(document if found else b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"localhost:{self.server.server_port}"

    def mint(self, name, audience, user_keypair, **changes):
        return make_assertion(
            f"{name}@{self.host}",
            audience,
            issuer=self.host,
            issuer_keypair=self.keypair,
            email_keypair=user_keypair,
            **changes,
        )


def encode_document(public_key):
    import json

    document = {"authentication": "/auth", "provisioning": "/prov", "public-key": public_key}
    return json.dumps(document).encode()


def tampered(assertion):
    """The same assertion with each of its six parts changed in the middle, one after the other."""
    parts = assertion.replace("~", ".").split(".")
    for n in range(len(parts)):
        changed = list(parts)
        at = len(changed[n]) // 2
        other = "B" if changed[n][at] == "A" else "A"
        changed[n] = changed[n][:at] + other + changed[n][at + 1 :]
        yield ".".join(changed[:3]) + "~" + ".".join(changed[3:])


def is_refused(answer, errno):
    assert answer.get("errno") == errno, f"errno {errno} was expected, not {answer}"


def their_assertions_are_accepted(binary, issuer_keypair, user_keypair, *flags):
    issuer = Issuer(issuer_keypair)
    with Server(binary, f"--browserid-issuers={issuer.host}", *flags) as server:
        opened = server.session(issuer.mint("alice", server.url, user_keypair))
        assert opened.get("email") == f"alice@{issuer.host}", opened
        answer = server.device(issuer.mint("alice", server.url, user_keypair))
        assert answer == {"result": "OK"}, answer

        good = issuer.mint("alice", server.url, user_keypair)
        for bad in tampered(good):
            is_refused(server.session(bad), INVALID_ASSERTION)
            is_refused(server.device(bad), INVALID_ASSERTION)
        past = int((time.time() - 120) * 1000)
        for bad in (
            issuer.mint("alice", "http://elsewhere.example", user_keypair),
            issuer.mint("alice", server.url, user_keypair, exp=past),
            issuer.mint("alice", server.url, user_keypair, assertion_sig=b"signature"),
            issuer.mint("alice", server.url, user_keypair, certificate_sig=b"signature"),
            issuer.mint("alice", server.url, user_keypair, new_style=False),
            "~".join([good.split("~")[0], good]),
        ):
            is_refused(server.session(bad), INVALID_ASSERTION)
            is_refused(server.device(bad), INVALID_ASSERTION)
        claimed = server.post("/session", {"assertion": good, "email": f"bob@{issuer.host}"})
        is_refused(claimed, EMAIL_MISMATCH)


def many_signatures_are_accepted(binary, issuer_keypair, user_keypair):
    """One RSA signature in 256 begins with a zero byte, which PyBrowserID leaves away."""
    issuer = Issuer(issuer_keypair)
    short = issuer.mint("alice", "x", user_keypair)
    with Server(binary, f"--browserid-issuers={issuer.host}") as server:
        for n in range(20_000):
            short = issuer.mint("alice", server.url, user_keypair, user_claims={"n": n})
            if any(len(token.rsplit(".", 1)[1]) < 342 for token in short.split("~")):
                break
        else:
            raise AssertionError("no short signature came up")
        opened = server.session(short)
        assert opened.get("email") == f"alice@{issuer.host}", opened


def our_assertions_are_accepted(binary):
    with Server(binary) as server:
        document = server.get("/.well-known/browserid")
        documents = SupportDocumentManager()
        documents.cache["dev.localhost"] = (None, document)
        verifier = LocalVerifier([server.url], trusted_secondaries=(), supportdocs=documents)
        made = server.post("/dev/assertion", {"email": "alice@dev.localhost"})
        found = verifier.verify(made["assertion"])
        assert found["email"] == "alice@dev.localhost", found
        assert found["issuer"] == "dev.localhost", found
        for bad in list(tampered(made["assertion"])):
            try:
                verifier.verify(bad)
            except (ValueError, browserid.errors.Error):
                continue
            raise AssertionError("PyBrowserID accepts a changed assertion")


def main(binary):
    rs256, ds128 = rsa_keypair(), get_keypair("alice")
    their_assertions_are_accepted(binary, rs256, rsa_keypair())
    their_assertions_are_accepted(binary, rs256, ds128)
    their_assertions_are_accepted(
        binary, get_keypair("issuer"), ds128, "--browserid-legacy-issuers"
    )
    many_signatures_are_accepted(binary, rs256, rsa_keypair())
    our_assertions_are_accepted(binary)
    print("PyBrowserID: its assertions are accepted here, and ours there")


main(sys.argv[1])
