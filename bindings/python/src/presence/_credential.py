"""The proofs of the identity of a user."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

from ._convert import mirrors
from ._native import presence_bindings as native
from ._native.presence_bindings import Secret


@mirrors(native.Credential.ASSERTION)
@dataclasses.dataclass(frozen=True, slots=True)
class Assertion:
    """An identity assertion for this server."""

    assertion: Secret
    """The assertion."""


@mirrors(native.Credential.TOKEN)
@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """The bearer token of a session, from `PresenceApi.sign_in`."""

    token: Secret
    """The token."""


Credential: TypeAlias = Assertion | Token
"""A proof of the identity of the user."""


def assertion(text: str) -> Assertion:
    """Creates a credential from an identity assertion."""
    return Assertion(Secret(text))


def token(text: str) -> Token:
    """Creates a credential from the bearer token of a session."""
    return Token(Secret(text))
