package org.presence.client

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.launch

/**
 * The stream of an Application's users, and the way to notify them: for back ends, since it holds an API key.
 *
 * ```
 * val roster = PresenceMap()
 * service.events.collect { event -> roster.apply(event).forEach { println("${it.now.uid} is ${it.now.status}") } }
 * ```
 *
 * It lives until it is closed, its scope is cancelled, or the server ends it: then [state] is [ConnectionState.Ended] and [events] is
 * complete.
 */
public class PresenceAppService private constructor(
    private val channel: AppServiceChannel,
    scope: CoroutineScope,
) : AutoCloseable {
    private val states = MutableStateFlow(channel.state())
    private val unread = Mailbox<AppServiceEvent>(1)

    /** What the channel is doing. While nobody collects [events], it is looked up once a second. */
    public val state: StateFlow<ConnectionState> = states.asStateFlow()

    /**
     * What happens: states, snapshots, updates and receipts, each for one collector, in order. While nobody collects them they wait in the SDK,
     * of updates the newest of each user.
     */
    public val events: Flow<AppServiceEvent> = unread.items

    private val pump = scope.launch(Dispatchers.Default) { pump() }

    init {
        pump.invokeOnCompletion {
            channel.end()
            if (states.value !is ConnectionState.Ended) states.value = ConnectionState.Ended(ChannelEnd.Closed)
            unread.end()
        }
    }

    /**
     * Sends live notifications, and says of each, in order, under which id it was queued or why it was not. The call outlives reconnects, and
     * queues nothing twice.
     *
     * @throws PresenceException.TimedOut where some were not answered in time
     * @throws PresenceException.Ended where the channel has ended
     * @throws PresenceException.Refused
     */
    public suspend fun notify(items: List<NewNotification>): List<NotifyOutcome> = channel.notify(items)

    /** Sends one live notification, and throws [PresenceException.Refused] where it was not queued; else as [notify] of several. */
    public suspend fun notify(item: NewNotification): QueuedNotification = channel.notifyOne(item)

    /**
     * Asks for the present statuses of users: one entry each, in order.
     *
     * @throws PresenceException.InvalidArgument where one of them is no PUID; else as [notify]
     */
    public suspend fun query(uids: List<String>): List<QueryOutcome> = channel.query(uids)

    /** Uses another API key from the next connection on, and at once where the present one was refused. */
    public fun giveApiKey(apiKey: Secret): Unit = channel.giveApiKey(apiKey)

    /** The machine's network has changed: looks at once whether the connection is alive, and cuts a wait short. */
    public fun networkChanged(): Unit = channel.networkChanged()

    /** Closes the channel, and waits until it is closed. Nothing else may be called after it. */
    public suspend fun shutdown() {
        try {
            channel.shutdown()
        } finally {
            close()
        }
        pump.join()
    }

    /** Closes the channel without waiting. Nothing else may be called after it. */
    override fun close() {
        pump.cancel()
        pump.invokeOnCompletion { channel.close() }
    }

    private suspend fun pump() {
        var taken = 0uL
        while (true) {
            val next = channel.nextEvent(taken) ?: break
            val event = next.event
            if (event is AppServiceEvent.State) states.value = event.state
            if (!unread.offer(event)) putWatching(event)
            taken = next.number
        }
    }

    /** Waits for a collector, and looks after the state meanwhile. */
    private suspend fun putWatching(event: AppServiceEvent) = coroutineScope {
        val watching = launch {
            while (true) {
                delay(STATE_EVERY)
                states.value = channel.state()
            }
        }
        unread.put(event)
        watching.cancel()
    }

    public companion object {
        private val STATE_EVERY: Duration = 1.seconds

        /**
         * Opens the channel of an application's back end. It connects by itself, in the background.
         *
         * It is closed when [scope] is cancelled; an open channel keeps its scope from completing.
         *
         * @throws PresenceException.InvalidArgument where the options cannot be
         */
        public fun open(scope: CoroutineScope, options: AppServiceOptions): PresenceAppService =
            PresenceAppService(AppServiceChannel.open(options), scope)
    }
}
