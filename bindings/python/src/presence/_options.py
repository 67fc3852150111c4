"""The options of channels, and of all connections to the server."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from ._convert import mirrors
from ._credential import Credential
from ._native import presence_bindings as native
from ._native.presence_bindings import Secret
from ._presence import PresenceStatus


@mirrors(native.ProxyServer)
@dataclasses.dataclass(frozen=True, slots=True)
class ProxyServer:
    """The address of a proxy, and the credentials for it."""

    host: str
    """The host name or the address."""
    port: int
    """The port, 0 to 65535."""
    user: Secret | None = None
    """The user name, if the proxy asks for one."""
    password: Secret | None = None
    """The password of the user."""


@mirrors(native.PresenceProxy.ENVIRONMENT)
@dataclasses.dataclass(frozen=True, slots=True)
class EnvironmentProxy:
    """The proxy that the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` of the
    process name. `localhost` and loopback addresses have none."""


@mirrors(native.PresenceProxy.DIRECT)
@dataclasses.dataclass(frozen=True, slots=True)
class NoProxy:
    """No proxy."""


@mirrors(native.PresenceProxy.HTTP)
@dataclasses.dataclass(frozen=True, slots=True)
class HttpProxy:
    """An HTTP proxy with the method `CONNECT`."""

    server: ProxyServer
    """The address of the proxy."""


@mirrors(native.PresenceProxy.HTTPS)
@dataclasses.dataclass(frozen=True, slots=True)
class HttpsProxy:
    """An HTTP proxy with the method `CONNECT`, with TLS to the proxy itself."""

    server: ProxyServer
    """The address of the proxy."""


@mirrors(native.PresenceProxy.SOCKS5)
@dataclasses.dataclass(frozen=True, slots=True)
class Socks5Proxy:
    """A SOCKS5 proxy. The proxy looks up the name of the server."""

    server: ProxyServer
    """The address of the proxy."""


PresenceProxy: TypeAlias = EnvironmentProxy | NoProxy | HttpProxy | HttpsProxy | Socks5Proxy
"""The proxy between the program and the server."""


@mirrors(native.NetworkOptions)
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """The options of all connections to the server."""

    proxy: PresenceProxy | None = None
    """The proxy. By default that of the environment of the process."""
    root_certificates: Sequence[bytes] = ()
    """The certificates of further certificate authorities to trust, each in DER."""
    only_root_certificates: bool = False
    """Trusts only `root_certificates` if true."""
    pins: Sequence[str] = ()
    """Pinned public keys: SHA-256 digests of `SubjectPublicKeyInfo` in Base64, as in RFC 7469. If
    there are pins, one of the keys that vouch for the server must be pinned: that of its own
    certificate, of a certificate authority that the server sends, or of a trusted root. Pin a
    second key whose certificate is not in use yet, for the case that the first one is lost."""
    product: str = ""
    """The product of the program for the header `User-Agent`, such as `chat/1.2`; several are
    separated by spaces. It comes before that of the SDK."""
    headers: Mapping[str, Secret] = dataclasses.field(default_factory=dict)
    """Headers of the program for every request: the upgrade of a channel and each REST call. At
    most 32, with at most 8 KiB together. The names that the protocol uses, such as `Authorization`,
    are refused. A proxy does not get these headers."""


@mirrors(native.ChannelTiming)
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTiming:
    """The time limits of a channel.

    A field that is left out has the default of the SDK, which suits phones and back ends. Each must
    lie between a millisecond and a year.
    """

    backoff_floor: datetime.timedelta | None = None
    """The longest wait before the first reconnect, 1 second by default. It doubles with each
    failure, and the actual wait is a random part of it."""
    backoff_ceiling: datetime.timedelta | None = None
    """The longest wait before any reconnect, unless the server asks for a longer one. 60 seconds by
    default."""
    stable_after: datetime.timedelta | None = None
    """The time for which a connection must last before the wait starts again at `backoff_floor`. 30
    seconds by default."""
    heartbeat: datetime.timedelta | None = None
    """The time without a frame from the server after which the channel sends a ping. After twice
    this time the connection counts as lost. 30 seconds by default."""
    connect_timeout: datetime.timedelta | None = None
    """The time limit for connecting, including the handshakes and the first reply. 10 seconds by
    default."""
    request_timeout: datetime.timedelta | None = None
    """The time limit for a request, including reconnects. 30 seconds by default."""
    probe_timeout: datetime.timedelta | None = None
    """The time limit for the reply to a ping that is sent because the network has changed or the
    program became visible. 5 seconds by default."""


@mirrors(native.AppServiceOptions)
@dataclasses.dataclass(frozen=True, slots=True)
class AppServiceOptions:
    """The options of the channel of a back end."""

    server: str
    """The URL of the server, such as `https://presence.example`."""
    application: str
    """The id of the Application."""
    api_key: Secret
    """One of its API keys."""
    _: dataclasses.KW_ONLY
    cursor: str | None = None
    """The cursor at which an earlier channel of this Application stopped. The channel then starts
    with the updates since, which the server keeps for up to an hour."""
    receipts: bool = False
    """Requests receipts if true."""
    timing: ChannelTiming | None = None
    """The time limits."""
    network: NetworkOptions = NetworkOptions()
    """The proxy, the trusted certificates, and the headers of the program."""


@mirrors(native.DeviceOptions)
@dataclasses.dataclass(frozen=True, slots=True)
class DeviceOptions:
    """The options of a device channel."""

    server: str
    """The URL of the server, such as `https://presence.example`."""
    device: str
    """The name of this device: 1 to 64 of `A-Za-z0-9._-`. If two devices of one user have the same
    name, the newer connection replaces the older one."""
    _: dataclasses.KW_ONLY
    credential: Credential | None = None
    """The credential of the user, if the program has one already."""
    status: PresenceStatus | None = None
    """The first status, online by default."""
    message: str | None = None
    """The first status text, at most 128 characters."""
    visibility: Sequence[str] | None = None
    """The Applications that see this device. By default all that have a grant of the user."""
    storage_file: str | None = None
    """The path of a file in which the channel keeps the acknowledgements that the server has not
    confirmed and the notifications that were marked as shown, over restarts of the program. Only
    the owner can read it, and it holds no secrets. By default they are not kept."""
    timing: ChannelTiming | None = None
    """The time limits."""
    network: NetworkOptions = NetworkOptions()
    """The proxy, the trusted certificates, and the headers of the program."""
