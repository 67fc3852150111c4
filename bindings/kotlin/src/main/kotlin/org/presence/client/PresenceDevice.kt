package org.presence.client

import kotlin.random.Random
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch

/** Gives a fresh credential whenever one is needed, as from the app's identity provider. */
public fun interface CredentialSource {
    /**
     * A fresh credential.
     *
     * It is called on a background thread. When it throws, it is asked again after a while, backing off; unless it throws
     * [SignedOutException], after which the app gives a credential by [PresenceDevice.giveCredential].
     */
    public suspend fun credential(reason: CredentialReason): Credential
}

/** Thrown by a [CredentialSource] where the user has to sign in first. */
public class SignedOutException(message: String = "the user is signed out") : Exception(message)

/**
 * The presence of one device: says its status, keeps it said over reconnects, and takes live notifications.
 *
 * ```
 * PresenceDevice.open(scope, DeviceOptions(server, "phone"), { Credential.Assertion(Secret(myAssertion())) }).use { device ->
 *     device.setStatus(PresenceStatus.ONLINE, "at my desk")
 *     device.takeNotifications { show(it) }
 * }
 * ```
 *
 * It lives until it is closed, its scope is cancelled, or the server ends it: then [state] is [ConnectionState.Ended] and [notifications]
 * is complete.
 */
public class PresenceDevice private constructor(
    private val channel: DeviceChannel,
    private val credentials: CredentialSource?,
    scope: CoroutineScope,
) : AutoCloseable {
    private val states = MutableStateFlow(channel.state())
    private val unread = Mailbox<LiveNotification>(UNREAD)
    private val wanted = Mailbox<CredentialReason>(1)

    /** What the channel is doing. */
    public val state: StateFlow<ConnectionState> = states.asStateFlow()

    /**
     * The live notifications, each for one collector, in order. They wait here for a collector, up to 1,000; what comes beyond is left with the
     * server, for the next channel. [acknowledge] each, else it comes again after a restart of the app.
     */
    public val notifications: Flow<LiveNotification> = unread.items

    /** Why a credential is wanted, for an app that opened the device without a source of them. Only the newest waits. */
    public val credentialWanted: Flow<CredentialReason> = wanted.items

    private val pump = scope.launch(Dispatchers.Default) { pump() }

    init {
        pump.invokeOnCompletion {
            channel.end()
            if (states.value !is ConnectionState.Ended) states.value = ConnectionState.Ended(ChannelEnd.Closed)
            unread.end()
            wanted.end()
        }
    }

    /**
     * Wishes a status. It is said as soon as there is a connection, and again after each reconnect; of several wishes the last one counts.
     *
     * @throws PresenceException.InvalidArgument where the text is longer than 128 characters or holds control characters
     */
    public fun setStatus(status: PresenceStatus, message: String? = null): Unit = channel.setStatus(status, message)

    /**
     * From now on only these Applications see this device; an empty list hides it from all. It can only narrow what the user's grants allow.
     *
     * @throws PresenceException.InvalidArgument where one of them is no id
     */
    public fun setVisibility(applications: List<String>): Unit = channel.setVisibility(applications)

    /**
     * Waits until the server has confirmed the last wishes and all acknowledgements, for as long as it takes.
     *
     * @throws PresenceException.Refused where the server will not take one of them
     * @throws PresenceException.Ended where the channel has ended
     */
    public suspend fun settled(): Unit = channel.settled()

    /** This notification was taken: the server forgets it, and the user's other devices are not bothered with it any more. */
    public fun acknowledge(notification: LiveNotification): Unit = channel.acknowledge(notification.id)

    /** Gives each notification to the app, and acknowledges it once [take] has returned. Ends with the channel. */
    public suspend fun takeNotifications(take: suspend (LiveNotification) -> Unit): Unit = notifications.collect {
        take(it)
        acknowledge(it)
    }

    /** Gives a fresh credential: because one was wanted, to sign in again, or to renew the session early. */
    public fun giveCredential(credential: Credential): Unit = channel.giveCredential(credential)

    /** The device is on another network, or has one again: looks at once whether the connection is alive, and cuts a wait short. */
    public fun networkChanged(): Unit = channel.networkChanged()

    /** The app came to the foreground or left it. */
    public fun appState(state: AppState): Unit = channel.appState(state)

    /** Closes the channel, and waits until it is closed: the presence of this device has ended then. Nothing else may be called after it. */
    public suspend fun shutdown() {
        try {
            channel.shutdown()
        } finally {
            close()
        }
        pump.join()
    }

    /** Closes the channel without waiting: the presence of this device ends at once. Nothing else may be called after it. */
    override fun close() {
        pump.cancel()
        pump.invokeOnCompletion { channel.close() }
    }

    private suspend fun pump() = coroutineScope {
        var asking: Job? = null
        var taken = 0uL
        while (true) {
            val next = channel.nextEvent(taken) ?: break
            when (val event = next.event) {
                is DeviceEvent.State -> states.value = event.state
                is DeviceEvent.Notification -> unread.offer(event.notification)
                is DeviceEvent.CredentialWanted -> {
                    asking?.cancel()
                    asking = credentials?.let { launch { ask(it, event.reason) } }
                    if (credentials == null) wanted.replace(event.reason)
                }
            }
            taken = next.number
        }
        asking?.cancel()
        Unit
    }

    private suspend fun ask(source: CredentialSource, reason: CredentialReason) {
        var wait = FIRST_WAIT
        while (true) {
            try {
                return channel.giveCredential(source.credential(reason))
            } catch (cancelled: CancellationException) {
                throw cancelled
            } catch (_: SignedOutException) {
                return
            } catch (_: Exception) {
                delay(wait * Random.nextDouble())
                wait = minOf(wait * 2, LONGEST_WAIT)
            }
        }
    }

    public companion object {
        private const val UNREAD = 1_000
        private val FIRST_WAIT: Duration = 2.seconds
        private val LONGEST_WAIT: Duration = 60.seconds

        /**
         * Opens the channel of a device. It connects by itself, in the background, as soon as it has a credential: that of the options, else one
         * of [credentials].
         *
         * It is closed when [scope] is cancelled; an open channel keeps its scope from completing.
         *
         * @throws PresenceException.InvalidArgument where the options cannot be
         */
        public fun open(
            scope: CoroutineScope,
            options: DeviceOptions,
            credentials: CredentialSource? = null,
        ): PresenceDevice = PresenceDevice(DeviceChannel.open(options), credentials, scope)
    }
}
