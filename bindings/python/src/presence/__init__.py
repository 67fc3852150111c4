"""The client SDK of Presence for Python: for the back ends of Applications, and for devices.

`PresenceAppService` is the channel of a back end, `PresenceDevice` that of a device, and
`PresenceApi` has the REST calls. All of them are for asyncio.
"""

import importlib.metadata

from ._account import (
    AccountInfo,
    ActivationResult,
    ApiKeyInfo,
    ApplicationChange,
    ApplicationInfo,
    CreatedApiKey,
    CreatedGrant,
    CreatedSession,
    DeviceInfo,
    GrantInfo,
    NewApplication,
    OpenSession,
    SessionInfo,
)
from ._api import (
    AppServiceApi,
    PresenceApi,
)
from ._app_service import (
    PresenceAppService,
)
from ._cached_credentials import (
    CachedCredentials,
    CredentialUnavailableError,
    ExpiringCredential,
)
from ._credential import (
    Assertion,
    Credential,
    Token,
    assertion,
    token,
)
from ._device import (
    PresenceDevice,
)
from ._errors import (
    EndedError,
    EndReason,
    InvalidArgumentError,
    PresenceError,
    ProxyError,
    RefusedError,
    TimedOutError,
    TlsError,
    UnexpectedError,
    UnreachableError,
)
from ._events import (
    AppServiceEvent,
    ReceiptsEvent,
    SnapshotEvent,
    StaleEvent,
    StateEvent,
    UpdatesEvent,
)
from ._log import (
    forward_log,
)
from ._native.presence_bindings import (
    ApplicationState,
    AppVisibility,
    LogLevel,
    PresenceErrno,
    ProxyErrorKind,
    Secret,
    SessionScope,
    TlsErrorKind,
)
from ._notifications import (
    LiveNotification,
    NewNotification,
    NotificationReceipt,
    NotifyResult,
    NotQueued,
    PendingNotification,
    Queued,
    QueuedNotification,
    ReceiptState,
)
from ._options import (
    AppServiceOptions,
    ChannelTiming,
    DeviceOptions,
    EnvironmentProxy,
    HttpProxy,
    HttpsProxy,
    NetworkOptions,
    NoProxy,
    PresenceProxy,
    ProxyServer,
    Socks5Proxy,
)
from ._presence import (
    KnownUser,
    PresenceChange,
    PresenceOfflineCause,
    PresencePage,
    PresenceStatus,
    PresenceUpdate,
    QueryResult,
    RefusedQuery,
    UnknownUser,
)
from ._presence_map import (
    PresenceMap,
)
from ._providing import (
    CredentialProvider,
    SignedOutError,
)
from ._states import (
    ChannelCounters,
    Connected,
    Connecting,
    ConnectionState,
    CredentialExpired,
    CredentialExpiring,
    CredentialReason,
    CredentialWanted,
    Ended,
    FirstCredential,
    SignedOut,
    StateChange,
    StorageCounters,
    Waiting,
)
from ._user_api import (
    UserApi,
)
from ._waking import ignore_closed_loops

ignore_closed_loops()

__version__ = importlib.metadata.version("presence-client")

__all__ = [
    "AccountInfo",
    "ActivationResult",
    "ApiKeyInfo",
    "AppServiceApi",
    "AppServiceEvent",
    "AppServiceOptions",
    "AppVisibility",
    "ApplicationChange",
    "ApplicationInfo",
    "ApplicationState",
    "Assertion",
    "CachedCredentials",
    "ChannelCounters",
    "ChannelTiming",
    "Connected",
    "Connecting",
    "ConnectionState",
    "CreatedApiKey",
    "CreatedGrant",
    "CreatedSession",
    "Credential",
    "CredentialExpired",
    "CredentialExpiring",
    "CredentialProvider",
    "CredentialReason",
    "CredentialUnavailableError",
    "CredentialWanted",
    "DeviceInfo",
    "DeviceOptions",
    "EndReason",
    "Ended",
    "EndedError",
    "EnvironmentProxy",
    "ExpiringCredential",
    "FirstCredential",
    "GrantInfo",
    "HttpProxy",
    "HttpsProxy",
    "InvalidArgumentError",
    "KnownUser",
    "LiveNotification",
    "LogLevel",
    "NetworkOptions",
    "NewApplication",
    "NewNotification",
    "NoProxy",
    "NotQueued",
    "NotificationReceipt",
    "NotifyResult",
    "OpenSession",
    "PendingNotification",
    "PresenceApi",
    "PresenceAppService",
    "PresenceChange",
    "PresenceDevice",
    "PresenceErrno",
    "PresenceError",
    "PresenceMap",
    "PresenceOfflineCause",
    "PresencePage",
    "PresenceProxy",
    "PresenceStatus",
    "PresenceUpdate",
    "ProxyError",
    "ProxyErrorKind",
    "ProxyServer",
    "QueryResult",
    "Queued",
    "QueuedNotification",
    "ReceiptState",
    "ReceiptsEvent",
    "RefusedError",
    "RefusedQuery",
    "Secret",
    "SessionInfo",
    "SessionScope",
    "SignedOut",
    "SignedOutError",
    "SnapshotEvent",
    "Socks5Proxy",
    "StaleEvent",
    "StateChange",
    "StateEvent",
    "StorageCounters",
    "TimedOutError",
    "TlsError",
    "TlsErrorKind",
    "Token",
    "UnexpectedError",
    "UnknownUser",
    "UnreachableError",
    "UpdatesEvent",
    "UserApi",
    "Waiting",
    "assertion",
    "forward_log",
    "token",
]
