"""Interoperability with PyBrowserID: its assertions against the server, and the assertions of the
development issuer against its verifier."""

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

from presence_server import Server

INVALID_ASSERTION = 34
EMAIL_MISMATCH = 35


def rsa_keypair():
    """Generates a key pair in the format of PyBrowserID: the public key and the signing key."""
    numbers = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    public = {
        "algorithm": "RS",
        "n": str(numbers.public_numbers.n),
        "e": str(numbers.public_numbers.e),
    }
    return public, RS256Key({**public, "d": str(numbers.d)})


class Issuer:
    """An issuer on a loopback port with a published key."""

    def __init__(self, keypair):
        self.keypair = keypair
        document = encode_document(keypair[0])

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                is_document = self.path.startswith("/.well-known/browserid?domain=")
                self.send_response(200 if is_document else 404)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write(document if is_document else b"{}")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.host = f"localhost:{self.server.server_port}"

    def create_assertion(self, name, audience, user_keypair, **changes):
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
    """Yields the assertion six times, each time with another part changed in the middle."""
    parts = assertion.replace("~", ".").split(".")
    for n in range(len(parts)):
        changed = list(parts)
        at = len(changed[n]) // 2
        other = "B" if changed[n][at] == "A" else "A"
        changed[n] = changed[n][:at] + other + changed[n][at + 1 :]
        yield ".".join(changed[:3]) + "~" + ".".join(changed[3:])


def expect_errno(reply, errno):
    assert reply.get("errno") == errno, f"expected errno {errno}, got {reply}"


def check_library_assertions(binary, issuer_keypair, user_keypair, *flags):
    issuer = Issuer(issuer_keypair)
    with Server(binary, f"--browserid-issuers={issuer.host}", *flags) as server:
        opened = server.session(issuer.create_assertion("alice", server.url, user_keypair))
        assert opened.get("email") == f"alice@{issuer.host}", opened
        reply = server.device(issuer.create_assertion("alice", server.url, user_keypair))
        assert reply == {"result": "OK"}, reply

        good = issuer.create_assertion("alice", server.url, user_keypair)
        for bad in tampered(good):
            expect_errno(server.session(bad), INVALID_ASSERTION)
            expect_errno(server.device(bad), INVALID_ASSERTION)
        past = int((time.time() - 120) * 1000)
        for bad in (
            issuer.create_assertion("alice", "http://elsewhere.example", user_keypair),
            issuer.create_assertion("alice", server.url, user_keypair, exp=past),
            issuer.create_assertion("alice", server.url, user_keypair, assertion_sig=b"signature"),
            issuer.create_assertion("alice", server.url, user_keypair, certificate_sig=b"signature"),
            issuer.create_assertion("alice", server.url, user_keypair, new_style=False),
            "~".join([good.split("~")[0], good]),
        ):
            expect_errno(server.session(bad), INVALID_ASSERTION)
            expect_errno(server.device(bad), INVALID_ASSERTION)
        claimed = server.post("/session", {"assertion": good, "email": f"bob@{issuer.host}"})
        expect_errno(claimed, EMAIL_MISMATCH)


def check_short_signatures(binary, issuer_keypair, user_keypair):
    """Checks RSA signatures with a leading zero byte, which PyBrowserID omits: one in 256."""
    issuer = Issuer(issuer_keypair)
    short = issuer.create_assertion("alice", "x", user_keypair)
    with Server(binary, f"--browserid-issuers={issuer.host}") as server:
        for n in range(20_000):
            short = issuer.create_assertion("alice", server.url, user_keypair, user_claims={"n": n})
            if any(len(token.rsplit(".", 1)[1]) < 342 for token in short.split("~")):
                break
        else:
            raise AssertionError("no short signature was generated")
        opened = server.session(short)
        assert opened.get("email") == f"alice@{issuer.host}", opened


def check_server_assertions(binary):
    with Server(binary) as server:
        document = server.get("/.well-known/browserid")
        documents = SupportDocumentManager()
        documents.cache["dev.localhost"] = (None, document)
        verifier = LocalVerifier([server.url], trusted_secondaries=(), supportdocs=documents)
        created = server.post("/dev/assertion", {"email": "alice@dev.localhost"})
        verified = verifier.verify(created["assertion"])
        assert verified["email"] == "alice@dev.localhost", verified
        assert verified["issuer"] == "dev.localhost", verified
        for bad in list(tampered(created["assertion"])):
            try:
                verifier.verify(bad)
            except (ValueError, browserid.errors.Error):
                continue
            raise AssertionError("PyBrowserID accepts a changed assertion")


def main(binary):
    rs256, ds128 = rsa_keypair(), get_keypair("alice")
    check_library_assertions(binary, rs256, rsa_keypair())
    check_library_assertions(binary, rs256, ds128)
    check_library_assertions(
        binary, get_keypair("issuer"), ds128, "--browserid-legacy-issuers"
    )
    check_short_signatures(binary, rs256, rsa_keypair())
    check_server_assertions(binary)
    print("PyBrowserID: assertions are accepted in both directions")


main(sys.argv[1])
