package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

/** The connection state of fake channels that count the calls. */
class StateTest {
    @Test
    fun `a back end sees each state from one call, without polling`() = runBlocking<Unit> {
        val channel = FakeAppServiceChannel()
        PresenceAppService(channel, this).let { service ->
            withTimeout(TIMEOUT) { channel.calls.checkChanges(service.state) }
            service.close()
        }
        assertEquals(1, channel.calls.stateCalls)
    }

    @Test
    fun `a device sees each state from one call, without polling`() = runBlocking<Unit> {
        val channel = FakeDeviceChannel()
        PresenceDevice(channel, null, this).let { device ->
            withTimeout(TIMEOUT) { channel.calls.checkChanges(device.state) }
            device.close()
        }
        assertEquals(1, channel.calls.stateCalls)
    }

    @Test
    fun `the provider is called for each credential request, and only then`() = runBlocking<Unit> {
        val channel = FakeDeviceChannel()
        val device = PresenceDevice(channel, { token("of request $it") }, this)
        for (reason in listOf(CredentialReason.First, CredentialReason.Expired)) {
            channel.requests.send(reason)
            val credential = withTimeout(TIMEOUT) { channel.credentials.receive() }
            assertEquals("of request $reason", (credential as Credential.Token).token.reveal())
        }
        device.close()
    }

    @Test
    fun `a provider that is cancelled by its own time limit is called again`() = runBlocking<Unit> {
        calledAgainAfter { withTimeout(1.milliseconds) { awaitCancellation() } }
    }

    @Test
    fun `a provider that waits for a cancelled task of the app is called again`() = runBlocking<Unit> {
        calledAgainAfter { CompletableDeferred<Unit>().apply { cancel() }.await() }
    }

    /** Opens a device whose provider fails once, and waits for the credential of its next call. */
    private suspend fun CoroutineScope.calledAgainAfter(failure: suspend () -> Unit) {
        val channel = FakeDeviceChannel()
        var calls = 0
        val device = PresenceDevice(channel, { calls += 1; if (calls == 1) failure(); token("call $calls") }, this)
        channel.requests.send(CredentialReason.First)
        val credential = withTimeout(TIMEOUT) { channel.credentials.receive() }
        assertEquals("call 2", (credential as Credential.Token).token.reveal())
        device.close()
    }

    @Test
    fun `unread notifications stay in the channel`() = runBlocking<Unit> {
        val channel = FakeDeviceChannel(notifications = 1_500)
        val device = PresenceDevice(channel, null, this)
        withTimeout(TIMEOUT) { channel.calls.checkChanges(device.state) }
        assertEquals(0, channel.pulls)
        val received = withTimeout(TIMEOUT) { device.notifications.take(1_500).toList() }
        assertEquals((1..1_500).map { "$it" }, received.map { it.id })
        device.close()
    }
}

/** The calls of `state` and `nextState` of a fake channel. */
private class FakeStateCalls {
    private val waiting = Channel<Pair<ConnectionState?, CompletableDeferred<ConnectionState?>>>()
    var stateCalls = 0
        private set

    fun state(): ConnectionState {
        stateCalls += 1
        return ConnectionState.Connecting(1u)
    }

    suspend fun nextState(known: ConnectionState?): ConnectionState? {
        val reply = CompletableDeferred<ConnectionState?>()
        waiting.send(known to reply)
        return reply.await()
    }

    /** Replies to calls of `nextState`, and checks that each reply becomes the state at once. */
    suspend fun checkChanges(state: StateFlow<ConnectionState>) {
        var known: ConnectionState = ConnectionState.Connecting(1u)
        val changes = listOf(ConnectionState.Connected, ConnectionState.Connecting(2u), ConnectionState.Connected)
        for (change in changes) {
            val (argument, reply) = waiting.receive()
            assertEquals(known, argument)
            reply.complete(change)
            state.await { it == change }
            known = change
        }
    }
}

private class FakeAppServiceChannel : AppServiceChannel(NoHandle) {
    val calls = FakeStateCalls()

    override fun state() = calls.state()

    override suspend fun nextState(known: ConnectionState?, cancel: CancelToken?) =
        calls.nextState(known)

    override fun startShutdown() = Unit

    override fun recentStates() = emptyList<StateChange>()

    override fun counters() = Observations().counters
}

private class FakeDeviceChannel(private val notifications: Int = 0) : DeviceChannel(NoHandle) {
    val calls = FakeStateCalls()
    val requests = Channel<CredentialReason>(1)
    val credentials = Channel<Credential>(1)
    var pulls = 0
        private set

    override fun state() = calls.state()

    override suspend fun nextState(known: ConnectionState?, cancel: CancelToken?) =
        calls.nextState(known)

    override suspend fun nextNotification(cancel: CancelToken?): NumberedNotification? {
        if (pulls == notifications) return null
        pulls += 1
        val notification = LiveNotification("Bob", "Chat", "chat.example", "Hello", "", "", "$pulls", 0)
        return NumberedNotification(pulls.toULong(), notification)
    }

    override fun confirmNotification(number: ULong) = Unit

    override suspend fun nextCredentialRequest(cancel: CancelToken?): NumberedCredentialRequest? =
        NumberedCredentialRequest(1u, requests.receive())

    override fun confirmCredentialRequest(number: ULong) = Unit

    override suspend fun nextCredentialRequestEnd(number: ULong, cancel: CancelToken?): Unit = awaitCancellation()

    /** Repeats the request, without the wait of a real channel. */
    override fun reportCredentialFailure(number: ULong) {
        requests.trySend(CredentialReason.First)
    }

    override fun setCredential(credential: Credential) {
        credentials.trySend(credential)
    }

    override fun startShutdown() = Unit

    override fun recentStates() = emptyList<StateChange>()

    override fun counters() = Observations().counters
}
