package org.presence.client

import java.time.Instant
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** Creates a credential from an identity assertion. */
public fun assertion(text: String): Credential = Credential.Assertion(Secret(text))

/** Creates a credential from the bearer token of a session. */
public fun token(text: String): Credential = Credential.Token(Secret(text))

/** Is true if the same call may succeed later. */
public val PresenceException.isRetryable: Boolean
    get() = when (this) {
        is PresenceException.Refused -> retryable
        is PresenceException.Unreachable,
        is PresenceException.Tls,
        is PresenceException.Proxy,
        is PresenceException.TimedOut,
        -> true
        is PresenceException.Ended,
        is PresenceException.InvalidArgument,
        is PresenceException.Unexpected,
        is PresenceException.Cancelled,
        -> false
    }

/** The time to wait before the next attempt, if the server gave one. */
public val PresenceException.retryAfter: Duration?
    get() = when (this) {
        is PresenceException.Refused -> retryAfterSeconds
        is PresenceException.Proxy -> retryAfterSeconds
        else -> null
    }?.seconds

/** The time when the server accepted the notification. */
public val LiveNotification.sentAt: Instant
    get() = Instant.ofEpochMilli(sentAtMs)

/** The time of the change, rounded down to a whole second. */
public val PresenceUpdate.since: Instant
    get() = Instant.ofEpochMilli(sinceMs)
