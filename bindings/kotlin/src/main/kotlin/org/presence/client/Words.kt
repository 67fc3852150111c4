package org.presence.client

import java.time.Instant
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds

/** An identity assertion as a credential. */
public fun assertion(text: String): Credential = Credential.Assertion(Secret(text))

/** The bearer token of a session as a credential. */
public fun token(text: String): Credential = Credential.Token(Secret(text))

/** Whether the same call may succeed later, as it is. */
public val PresenceException.isRetryable: Boolean
    get() = when (this) {
        is PresenceException.Refused -> retryable
        is PresenceException.Unreachable, is PresenceException.TimedOut -> true
        is PresenceException.Ended,
        is PresenceException.InvalidArgument,
        is PresenceException.Unexpected,
        is PresenceException.Cancelled,
        -> false
    }

/** How long to wait before trying again, where the server said so. */
public val PresenceException.retryAfter: Duration?
    get() = (this as? PresenceException.Refused)?.retryAfterSeconds?.seconds

/** When it was accepted. */
public val LiveNotification.sentAt: Instant
    get() = Instant.ofEpochMilli(sentAtMs)

/** When it changed, in whole seconds. */
public val UserPresence.since: Instant
    get() = Instant.ofEpochMilli(sinceMs)
