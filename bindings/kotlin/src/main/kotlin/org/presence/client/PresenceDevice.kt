package org.presence.client

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.emptyFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch

/**
 * Provides a fresh credential whenever a device needs one, for example from an identity provider.
 */
public fun interface CredentialProvider {
    /**
     * Returns a fresh credential. It is called on a background thread.
     *
     * If it throws, a `CancellationException` of its own included, it is called again after a wait
     * that grows with each failure, up to the `backoffCeiling` of [ChannelTiming].
     * [PresenceDevice.networkChanged] and an app that becomes visible shorten the wait. If it
     * throws [SignedOutException], the state becomes [ConnectionState.SignedOut], and it is not
     * called again until the app calls [PresenceDevice.setCredential].
     *
     * A call is cancelled by a newer request of the channel, by [PresenceDevice.setCredential] and
     * by the end of the channel. A call that blocks its thread cannot be cancelled before it
     * returns; the channel goes on meanwhile.
     */
    public suspend fun credential(reason: CredentialReason): Credential
}

/** Thrown by a [CredentialProvider] if the user has to sign in first. */
public class SignedOutException(message: String = "the user is signed out") : Exception(message)

/**
 * The presence of one device. It reports the status, reports it again after each reconnect, and
 * receives notifications.
 *
 * ```
 * val options = DeviceOptions(server, "phone")
 * PresenceDevice.open(scope, options, { assertion(freshAssertion()) }).use { device ->
 *     device.setStatus(PresenceStatus.Online, "at my desk")
 *     device.handleNotifications { show(it) }
 * }
 * ```
 *
 * It stays open until it is closed, its scope is cancelled, or the server ends it. Then [state] is
 * [ConnectionState.Ended] and [notifications] completes. After that, calls that wait throw
 * [PresenceException.Ended], and the others do nothing.
 */
public class PresenceDevice internal constructor(
    private val channel: DeviceChannel,
    private val provider: CredentialProvider?,
    scope: CoroutineScope,
) : AutoCloseable {
    private val mutableState = MutableStateFlow(channel.state())
    @Volatile private var atEnd = Observations()

    /** The connection state. */
    public val state: StateFlow<ConnectionState> = mutableState.asStateFlow()

    /**
     * The notifications, in order. A notification is pulled from the SDK when a collector is
     * ready for it. Until then it waits in the SDK, or on the server if many wait. Several
     * collectors share the notifications: each goes to one of them. Call [acknowledge] for each,
     * otherwise it is delivered again after a restart of the app.
     */
    public val notifications: Flow<LiveNotification> =
        PulledFlow({ nullIfClosed { channel.nextNotification() } }, ::awaitEnd) {
            ifOpen { channel.confirmNotification(it.number) }
            it.notification
        }

    /**
     * The requests for a credential, for an app that opened the device without a
     * [CredentialProvider]. Only the newest request waits for a collector.
     */
    public val credentialRequests: Flow<CredentialReason> =
        if (provider == null) pulledRequests() else emptyFlow()

    private val watcher = scope.launch(Dispatchers.Default) { watchState() }

    init {
        watcher.invokeOnCompletion {
            ifOpen {
                channel.startShutdown()
                atEnd = Observations(channel.recentStates(), channel.counters())
            }
            if (mutableState.value !is ConnectionState.Ended) {
                mutableState.value = ConnectionState.Ended(EndReason.Closed)
            }
        }
    }

    /**
     * Sets the status. It is sent as soon as the channel is connected, and again after each
     * reconnect. If it is set several times before that, only the last one is sent.
     *
     * @throws PresenceException.InvalidArgument if the text is longer than 128 characters or
     * contains control characters
     */
    public fun setStatus(status: PresenceStatus, message: String? = null): Unit =
        ifOpen { channel.setStatus(status, message) }

    /**
     * Sets the Applications that see this device. An empty list hides the device from all. The list
     * can only narrow what the grants of the user allow.
     *
     * @throws PresenceException.InvalidArgument if one of them is not a valid id
     */
    public fun setVisibility(applications: List<String>): Unit =
        ifOpen { channel.setVisibility(applications) }

    /**
     * Waits until the server has confirmed the last status, the last visibility and all
     * acknowledgements. There is no time limit.
     *
     * @throws PresenceException.Refused if the server refuses one of them
     * @throws PresenceException.Ended if the channel has ended
     */
    public suspend fun confirmed(): Unit = orEnded { channel.confirmed() }

    /**
     * Acknowledges a notification to the server, which then deletes it and removes it from the
     * other devices of the user.
     */
    public fun acknowledge(notification: LiveNotification): Unit =
        ifOpen { channel.acknowledge(notification.id) }

    /**
     * Records that the user has seen a notification that the app does not acknowledge yet, for
     * example because it stays in the notification area. With a `storageFile` in the options it is
     * not delivered again after a restart of the app. The last 1,000 are kept.
     */
    public fun markShown(notification: LiveNotification): Unit =
        ifOpen { channel.markShown(notification.id) }

    /**
     * Calls [handler] with each notification, and acknowledges the notification after [handler] has
     * returned. Returns when the channel has ended.
     */
    public suspend fun handleNotifications(handler: suspend (LiveNotification) -> Unit): Unit =
        notifications.collect {
            handler(it)
            acknowledge(it)
        }

    /**
     * Sets a fresh credential: after a credential request, to sign in again, or to renew the
     * session early.
     */
    public fun setCredential(credential: Credential): Unit =
        ifOpen { channel.setCredential(credential) }

    /**
     * Reports that the device is on another network, or online again. The connection is checked at
     * once, or the next attempt starts at once.
     */
    public fun networkChanged(): Unit = ifOpen { channel.networkChanged() }

    /** Reports whether the app is visible to its user. */
    public fun setAppVisibility(visibility: AppVisibility): Unit =
        ifOpen { channel.setAppVisibility(visibility) }

    /**
     * Closes the channel, and waits until it is closed. The presence of this device has ended then.
     */
    public suspend fun shutdown() {
        try {
            nullIfClosed { channel.shutdown() }
        } finally {
            close()
        }
        watcher.join()
    }

    /**
     * Closes the channel without waiting. The presence of this device ends at once.
     */
    override fun close() {
        watcher.cancel()
        watcher.invokeOnCompletion { channel.close() }
    }

    /**
     * Returns the last 20 changes of the connection state, the oldest one first. After [close] they
     * are those that were known at the close.
     */
    public fun recentStates(): List<StateChange> =
        valueIfOpen { channel.recentStates() } ?: atEnd.states

    /**
     * Returns what the channel has counted since it was opened. After [close] it is what was known
     * at the close.
     */
    public fun counters(): ChannelCounters = valueIfOpen { channel.counters() } ?: atEnd.counters

    /** Returns what was counted about the file of the options; null after [close]. */
    public fun storageCounters(): StorageCounters? = valueIfOpen { channel.storageCounters() }

    private suspend fun awaitEnd() {
        mutableState.first { it is ConnectionState.Ended }
    }

    private fun pulledRequests(): Flow<CredentialReason> =
        PulledFlow({ nullIfClosed { channel.nextCredentialRequest() } }, ::awaitEnd) {
            ifOpen { channel.confirmCredentialRequest(it.number) }
            it.reason
        }

    private suspend fun watchState() = coroutineScope {
        val providing = provider?.let { launch { provideCredentials(it) } }
        while (true) mutableState.value = channel.nextState(mutableState.value) ?: break
        providing?.cancel()
        Unit
    }

    /** Answers each request until the channel has ended. The SDK repeats those that fail. */
    private suspend fun provideCredentials(provider: CredentialProvider) {
        while (true) {
            val request = nullIfClosed { channel.nextCredentialRequest() } ?: return
            ifOpen { channel.confirmCredentialRequest(request.number) }
            answerRequest(request, provider)
        }
    }

    /**
     * Calls the provider until the request is over: a credential was set, or there is a newer one.
     */
    private suspend fun answerRequest(
        request: NumberedCredentialRequest,
        provider: CredentialProvider,
    ) = coroutineScope {
        val call = launch { callProvider(request, provider) }
        val end = launch {
            nullIfClosed { channel.nextCredentialRequestEnd(request.number) }
            call.cancel()
        }
        call.join()
        end.cancel()
    }

    private suspend fun callProvider(
        request: NumberedCredentialRequest,
        provider: CredentialProvider,
    ) {
        try {
            val credential = provider.credential(request.reason)
            currentCoroutineContext().ensureActive()
            setCredential(credential)
        } catch (_: SignedOutException) {
            ifOpen { channel.reportSignedOut(request.number) }
        } catch (_: Exception) {
            // A cancellation that is not this coroutine's, such as the end of a `withTimeout`
            // of the provider, is a failure like others.
            currentCoroutineContext().ensureActive()
            ifOpen { channel.reportCredentialFailure(request.number) }
        }
    }

    public companion object {
        /**
         * Opens the channel of a device. It connects in the background as soon as it has a
         * credential: that of the options, otherwise one of [credentialProvider].
         *
         * It is closed when [scope] is cancelled. An open channel keeps its scope from completing.
         *
         * @throws PresenceException.InvalidArgument if an option is invalid
         */
        public fun open(
            scope: CoroutineScope,
            options: DeviceOptions,
            credentialProvider: CredentialProvider? = null,
        ): PresenceDevice = PresenceDevice(DeviceChannel.open(options), credentialProvider, scope)
    }
}
