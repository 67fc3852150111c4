package org.presence.client

import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout

/** Cancellation, closing, and the release of objects. */
class LifecycleTest {
    @Test
    fun `a call that waits ends at once when its coroutine is cancelled`() = withTestServer { server ->
        server.kill()
        // There is no server, so nothing is ever confirmed.
        PresenceDevice.open(this, server.device("alice", credential = assertion("any"))).use { device ->
            assertFailsWith<TimeoutCancellationException> { withTimeout(50.milliseconds) { device.confirmed() } }
            val waiting = launch { device.confirmed() }
            delay(50.milliseconds)
            withTimeout(TIMEOUT) { waiting.cancelAndJoin() }
        }
    }

    @Test
    fun `a call that waits ends at once when its token is cancelled`() = withTestServer { server ->
        server.kill()
        DeviceChannel.open(server.device("alice", credential = assertion("any"))).use { channel ->
            val cancel = CancelToken()
            val waiting = async { runCatching { channel.confirmed(cancel) } }
            delay(50.milliseconds)
            cancel.cancel()
            assertIs<PresenceException.Cancelled>(withTimeout(TIMEOUT) { waiting.await() }.exceptionOrNull())
            assertFailsWith<PresenceException.Cancelled> { channel.nextNotification(cancel) }
        }
    }

    @Test
    fun `cancelling a scope closes its channels, and the Application sees it`() = withTestServer { server ->
        val app = server.application()
        val alice = server.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, server.appService(app)).use { service ->
            val appScope = CoroutineScope(Dispatchers.Default + Job())
            val device = PresenceDevice.open(appScope, server.device("alice"))
            service.awaitStatus(map, alice, PresenceStatus.Online)
            appScope.cancel()
            assertEquals(EndReason.Closed, device.endReason())
            service.awaitStatus(map, alice, PresenceStatus.Offline)
        }
    }

    @Test
    fun `a channel in a cancelled scope is closed at once`() = withTestServer { server ->
        val appScope = CoroutineScope(Dispatchers.Default + Job()).apply { cancel() }
        val device = PresenceDevice.open(appScope, server.device("alice"))
        assertEquals(EndReason.Closed, device.endReason())
    }

    @Test
    fun `a device can be closed twice, and later calls do nothing or say that it has ended`() = withTestServer { server ->
        val device = PresenceDevice.open(this, server.device("alice"))
        device.connected()
        device.shutdown()
        device.close()
        assertEquals(ConnectionState.Ended(EndReason.Closed), device.state.value)
        callAll(device)
        assertFailsWith<PresenceException.Ended> { device.confirmed() }
        assertEquals(emptyList(), device.notifications.toList())
        assertEquals(emptyList(), device.credentialRequests.toList())
        device.handleNotifications { }
        device.shutdown()
    }

    @Test
    fun `a back end can be closed twice, and later calls do nothing or say that it has ended`() = withTestServer { server ->
        val service = PresenceAppService.open(this, server.appService(server.application()))
        service.shutdown()
        service.close()
        service.networkChanged()
        service.setApiKey(Secret("any"))
        assertFailsWith<PresenceException.Ended> { service.notify(NewNotification("0".repeat(32), "Lunch?")) }
        assertFailsWith<PresenceException.Ended> { service.notify(emptyList()) }
        assertFailsWith<PresenceException.Ended> { service.query(emptyList()) }
        assertEquals(emptyList(), service.events.toList())
        service.shutdown()
    }

    @Test
    fun `callbacks of the app that race with the end of a device throw nothing`() = withTestServer { server ->
        server.kill()
        repeat(100) {
            val device = PresenceDevice.open(this, server.device("alice", credential = assertion("any")))
            val calling = (1..4).map { launch { repeat(50) { callAll(device) } } }
            launch { device.handleNotifications { } }
            device.close()
            calling.joinAll()
        }
    }

    /** Makes each call that does not wait. */
    private fun callAll(device: PresenceDevice) {
        device.networkChanged()
        device.setStatus(PresenceStatus.Online, "at my desk")
        device.setVisibility(emptyList())
        device.setAppVisibility(AppVisibility.BACKGROUND)
        device.setCredential(assertion("any"))
        device.acknowledge(LiveNotification("Bob", "Chat", "chat.example", "Hello", "", "0".repeat(32), "0".repeat(32), 0))
    }

    @Test
    fun `closed channels leave no object behind`() = withTestServer { server ->
        val app = server.application()
        awaitNoLiveObjects()
        val open = (1..20).map { number ->
            launch {
                PresenceDevice.open(this, server.device("user$number")).use { it.connected() }
                PresenceAppService.open(this, server.appService(app)).use { it.state.await { it is ConnectionState.Connected } }
            }
        }
        open.joinAll()
        awaitNoLiveObjects()
    }

    @Test
    fun `a channel without references is closed by the garbage collector`() = withTestServer { server ->
        val app = server.application()
        val alice = server.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, server.appService(app)).use { service ->
            openWithoutReference(server.device("alice"))
            service.awaitStatus(map, alice, PresenceStatus.Online)
            val collecting = launch { while (true) { System.gc(); delay(20.milliseconds) } }
            service.awaitStatus(map, alice, PresenceStatus.Offline)
            collecting.cancelAndJoin()
        }
        map.close()
        awaitNoLiveObjects()
    }

    @Test
    fun `the log reaches the app, without secrets`() = withTestServer { server ->
        val lines = ConcurrentLinkedQueue<LogLine>()
        setLogSink(object : LogSink { override fun log(line: LogLine) { lines += line } }, LogLevel.TRACE)
        val credential = server.credential("alice") as Credential.Assertion
        PresenceDevice.open(this, server.device("alice", credential = credential)).use { it.connected(); it.confirmed() }
        withTimeout(TIMEOUT) { while (lines.isEmpty()) delay(5.milliseconds) }
        setLogSink(null, LogLevel.ERROR)
        assertTrue(lines.all { it.target.startsWith("presence_") })
        assertTrue(lines.none { credential.assertion.reveal() in it.text })
    }

    private fun openWithoutReference(options: DeviceOptions) {
        DeviceChannel.open(options)
    }

    /** Waits until no object of the library is alive, after collecting those of earlier tests. */
    private suspend fun awaitNoLiveObjects() = withTimeout(TIMEOUT) {
        while (debugLiveObjects() > 0uL) {
            System.gc()
            delay(20.milliseconds)
        }
    }
}
