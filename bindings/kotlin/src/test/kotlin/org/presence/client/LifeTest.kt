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
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout

/** That everything ends when it should, and leaves nothing behind. */
class LifeTest {
    @Test
    fun `a call that waits ends at once when its coroutine is cancelled`() = onStage { stage ->
        stage.kill()
        // There is no server, so it never settles.
        PresenceDevice.open(this, stage.device("alice", credential = assertion("any"))).use { device ->
            assertFailsWith<TimeoutCancellationException> { withTimeout(50.milliseconds) { device.settled() } }
            val settling = launch { device.settled() }
            delay(50.milliseconds)
            withTimeout(PATIENCE) { settling.cancelAndJoin() }
        }
    }

    @Test
    fun `a call that waits ends at once when its token is cancelled`() = onStage { stage ->
        stage.kill()
        DeviceChannel.open(stage.device("alice", credential = assertion("any"))).use { channel ->
            val cancel = CancelToken()
            val settling = async { runCatching { channel.settled(cancel) } }
            delay(50.milliseconds)
            cancel.cancel()
            assertIs<PresenceException.Cancelled>(withTimeout(PATIENCE) { settling.await() }.exceptionOrNull())
            assertFailsWith<PresenceException.Cancelled> { channel.nextEvent(0u, cancel) }
        }
    }

    @Test
    fun `a scope that is cancelled takes its channels with it, and the Application sees it`() = onStage { stage ->
        val app = stage.application()
        val alice = stage.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            val screen = CoroutineScope(Dispatchers.Default + Job())
            val device = PresenceDevice.open(screen, stage.device("alice"))
            service.sees(map, alice, PresenceStatus.ONLINE)
            screen.cancel()
            assertEquals(ChannelEnd.Closed, device.end())
            service.sees(map, alice, PresenceStatus.OFFLINE)
        }
    }

    @Test
    fun `a channel of a scope that has ended is closed at once`() = onStage { stage ->
        val screen = CoroutineScope(Dispatchers.Default + Job()).apply { cancel() }
        val device = PresenceDevice.open(screen, stage.device("alice"))
        assertEquals(ChannelEnd.Closed, device.end())
    }

    @Test
    fun `closing twice is closing once, and what is called after it fails`() = onStage { stage ->
        val device = PresenceDevice.open(this, stage.device("alice"))
        device.connected()
        device.shutdown()
        device.close()
        assertEquals(ConnectionState.Ended(ChannelEnd.Closed), device.state.value)
        withTimeout(PATIENCE) { while (runCatching { device.networkChanged() }.isSuccess) delay(1.milliseconds) }
        assertFailsWith<IllegalStateException> { device.settled() }
    }

    @Test
    fun `closed channels leave no object behind`() = onStage { stage ->
        val app = stage.application()
        nothingLeft()
        val open = (1..20).map { number ->
            launch {
                PresenceDevice.open(this, stage.device("user$number")).use { it.connected() }
                PresenceAppService.open(this, stage.appService(app)).use { it.state.await { it is ConnectionState.Connected } }
            }
        }
        open.joinAll()
        nothingLeft()
    }

    @Test
    fun `forgotten channels are closed when they are collected as garbage`() = onStage { stage ->
        val app = stage.application()
        val alice = stage.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            openAndForget(stage.device("alice"))
            service.sees(map, alice, PresenceStatus.ONLINE)
            val collecting = launch { while (true) { System.gc(); delay(20.milliseconds) } }
            service.sees(map, alice, PresenceStatus.OFFLINE)
            collecting.cancelAndJoin()
        }
        map.close()
        nothingLeft()
    }

    @Test
    fun `the log reaches the app, without secrets`() = onStage { stage ->
        val lines = ConcurrentLinkedQueue<LogLine>()
        setLogSink(object : LogSink { override fun log(line: LogLine) { lines += line } }, LogLevel.TRACE)
        val credential = stage.proof("alice") as Credential.Assertion
        PresenceDevice.open(this, stage.device("alice", credential = credential)).use { it.connected(); it.settled() }
        withTimeout(PATIENCE) { while (lines.isEmpty()) delay(5.milliseconds) }
        setLogSink(null, LogLevel.ERROR)
        assertTrue(lines.all { it.target.startsWith("presence_") })
        assertTrue(lines.none { credential.assertion.reveal() in it.text })
    }

    private fun openAndForget(options: DeviceOptions) {
        DeviceChannel.open(options)
    }

    /** Waits until nothing of the library is alive; what earlier tests forgot is collected. */
    private suspend fun nothingLeft() = withTimeout(PATIENCE) {
        while (debugLiveObjects() > 0uL) {
            System.gc()
            delay(20.milliseconds)
        }
    }
}
