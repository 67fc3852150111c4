package org.presence.client

import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch

/**
 * The presence of the users of an Application, and the sending of notifications. For back ends
 * only, because it needs an API key.
 *
 * ```
 * val map = PresenceMap()
 * service.events.collect { event ->
 *     map.apply(event).forEach { println("${it.after.uid} is ${it.after.status}") }
 * }
 * ```
 *
 * It stays open until it is closed, its scope is cancelled, or the server ends it. Then [state] is
 * [ConnectionState.Ended] and [events] completes. After that, calls that wait throw
 * [PresenceException.Ended], and the others do nothing.
 */
public class PresenceAppService internal constructor(
    private val channel: AppServiceChannel,
    scope: CoroutineScope,
) : AutoCloseable {
    private val mutableState = MutableStateFlow(channel.state())
    @Volatile private var atEnd = Observations()

    /** The connection state. It is up to date whether or not [events] is collected. */
    public val state: StateFlow<ConnectionState> = mutableState.asStateFlow()

    /**
     * The events: states, snapshots, updates and receipts, in order. An event is pulled from the
     * SDK when a collector is ready for it. Until then it waits in the SDK. If several updates of a
     * user wait, only the newest is delivered. Several collectors share the events: each event goes
     * to one of them.
     */
    public val events: Flow<AppServiceEvent> =
        PulledFlow({ nullIfClosed { channel.nextEvent() } }, ::awaitEnd) {
            ifOpen { channel.confirmEvent(it.number) }
            it.event
        }

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
     * Sends notifications, and returns the result for each, in order. The call continues after
     * a reconnect, and queues nothing twice.
     *
     * @throws PresenceException.TimedOut if the server does not reply in time
     * @throws PresenceException.Ended if the channel has ended
     * @throws PresenceException.Refused if the server refuses the call
     */
    public suspend fun notify(items: List<NewNotification>): List<NotifyResult> =
        orEnded { channel.notify(items) }

    /**
     * Sends one notification.
     *
     * @throws PresenceException.Refused if it was not queued; otherwise as [notify] of several
     */
    public suspend fun notify(item: NewNotification): QueuedNotification =
        orEnded { channel.notifyOne(item) }

    /**
     * Queries the current presence of users, and returns the result for each, in order.
     *
     * @throws PresenceException.InvalidArgument if one of them is not a PUID; otherwise as [notify]
     */
    public suspend fun query(uids: List<String>): List<QueryResult> =
        orEnded { channel.query(uids) }

    /**
     * Sets another API key. It is used from the next connection on, or at once if the server has
     * refused the current key.
     */
    public fun setApiKey(apiKey: Secret): Unit = ifOpen { channel.setApiKey(apiKey) }

    /**
     * Reports that the network of the machine has changed. The connection is checked at once, or
     * the next attempt starts at once.
     */
    public fun networkChanged(): Unit = ifOpen { channel.networkChanged() }

    /** Closes the channel, and waits until it is closed. */
    public suspend fun shutdown() {
        try {
            nullIfClosed { channel.shutdown() }
        } finally {
            close()
        }
        watcher.join()
    }

    /** Closes the channel without waiting. */
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

    private suspend fun awaitEnd() {
        mutableState.first { it is ConnectionState.Ended }
    }

    private suspend fun watchState() {
        while (true) mutableState.value = channel.nextState(mutableState.value) ?: return
    }

    public companion object {
        /**
         * Opens the channel of a back end. It connects in the background.
         *
         * It is closed when [scope] is cancelled. An open channel keeps its scope from completing.
         *
         * @throws PresenceException.InvalidArgument if an option is invalid
         */
        public fun open(scope: CoroutineScope, options: AppServiceOptions): PresenceAppService =
            PresenceAppService(AppServiceChannel.open(options), scope)
    }
}
