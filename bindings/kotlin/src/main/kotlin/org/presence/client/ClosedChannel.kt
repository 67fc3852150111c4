package org.presence.client

import kotlinx.coroutines.CancellationException

// The generated code throws IllegalStateException for a call of a closed object. Callbacks of an
// app race with the end of its channel, so these functions give such a call the meaning of a call
// after the end.

/** Makes a call, which has no effect if the app has closed the channel. */
internal inline fun ifOpen(call: () -> Unit) {
    try {
        call()
    } catch (closed: IllegalStateException) {
        closed.throwIfCancellation()
    }
}

/** Makes a call, and returns null if the app has closed the channel. */
internal inline fun <Result : Any> valueIfOpen(call: () -> Result): Result? =
    try {
        call()
    } catch (closed: IllegalStateException) {
        closed.throwIfCancellation()
        null
    }

/** Makes a call that waits, and returns null if the app has closed the channel. */
internal suspend fun <Result> nullIfClosed(call: suspend () -> Result?): Result? =
    try {
        call()
    } catch (closed: IllegalStateException) {
        closed.throwIfCancellation()
        null
    }

/**
 * Makes a call that waits.
 *
 * @throws PresenceException.Ended if the app has closed the channel
 */
internal suspend fun <Result> orEnded(call: suspend () -> Result): Result =
    try {
        call()
    } catch (closed: IllegalStateException) {
        closed.throwIfCancellation()
        throw PresenceException.Ended(EndReason.Closed)
    }

/** Throws it again if it is a cancellation, which is a subclass on the JVM. */
private fun IllegalStateException.throwIfCancellation() {
    if (this is CancellationException) throw this
}
