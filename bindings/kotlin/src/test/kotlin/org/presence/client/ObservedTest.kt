package org.presence.client

import java.nio.file.Files
import java.nio.file.Path
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertIs
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.delay
import kotlinx.coroutines.withTimeout

/** The recent states and counters of channels, and what is kept in files. */
class ObservedTest {
    @Test
    fun `the recent states of a device tell why it was not connected`() = withTestServer { server ->
        val device = PresenceDevice.open(this, server.device("alice", credential = token(server.command("sign_in", "name" to "alice").text("token"))))
        device.connected()
        server.kill()
        device.state.await { it is ConnectionState.Waiting }
        server.restart()
        device.connected()
        val recent = device.recentStates()
        assertTrue(recent.size in 4..20, "$recent")
        assertEquals(recent.map { it.atMs }.sorted(), recent.map { it.atMs })
        val waiting = recent.first { it.state is ConnectionState.Waiting }.state as ConnectionState.Waiting
        assertIs<PresenceException.Unreachable>(waiting.reason)
        assertEquals(ConnectionState.Connected, recent.last().state)

        val counters = device.counters()
        assertEquals(listOf(2uL, 1uL), listOf(counters.connections, counters.disconnects))
        assertTrue(counters.attempts >= 2uL)
        assertNotNull(counters.lastRoundTripSeconds)
        device.shutdown()
        assertIs<ConnectionState.Ended>(device.recentStates().last().state)
        assertEquals(2uL, device.counters().disconnects)
    }

    @Test
    fun `a back end has recent states and counters too`() = withTestServer { server ->
        PresenceAppService.open(this, server.appService(server.application())).use { service ->
            service.state.await { it is ConnectionState.Connected }
            assertEquals(ConnectionState.Connected, service.recentStates().last().state)
            assertEquals(1uL, service.counters().connections)
        }
    }

    @Test
    fun `a notification that was shown before a restart of the app is not delivered again`() = withTestServer { server ->
        withFile { file ->
            val app = server.application()
            val uid = server.grant("alice", app)
            fun notify(text: String) = server.command("notify", "appid" to app.appid, "uid" to uid, "message" to text)
            val options = server.device("alice").copy(storageFile = file.toString())
            val first = PresenceDevice.open(this, options)
            notify("one")
            val shown = first.notifications.await()
            first.markShown(shown)
            withTimeout(TIMEOUT) { while (!Files.exists(file) || shown.id !in Files.readString(file)) delay(5.milliseconds) }
            first.shutdown()

            val second = PresenceDevice.open(this, options.copy(credential = server.credential("alice")))
            notify("two")
            assertEquals("two", second.notifications.await().message)
            // It can still be acknowledged.
            second.acknowledge(shown)
            second.confirmed()
            assertEquals(0uL, second.storageCounters()?.errors)
            second.shutdown()
        }
    }

    @Test
    fun `a map in a file continues after a restart of the back end`() = withTestServer { server ->
        withFile { file ->
            val app = server.application()
            val (alice, bob) = listOf(server.grant("alice", app), server.grant("bob", app))
            val phone = PresenceDevice.open(this, server.device("alice"))
            val map = PresenceMap.load(file.toString())
            PresenceAppService.open(this, server.appService(app)).use { it.awaitStatus(map, alice, PresenceStatus.Online) }
            map.flush()
            map.close()

            val restored = PresenceMap.load(file.toString())
            assertEquals(PresenceStatus.Online, restored.status(alice))
            val tablet = PresenceDevice.open(this, server.device("bob"))
            val options = server.appService(app).copy(cursor = assertNotNull(restored.cursor()))
            PresenceAppService.open(this, options).use { service ->
                // The first event continues the stream: it is no snapshot.
                assertIs<AppServiceEvent.Updates>(service.events.await { restored.apply(it); it !is AppServiceEvent.State })
                service.awaitStatus(restored, bob, PresenceStatus.Online)
                assertEquals(PresenceStatus.Online, restored.status(alice))
            }
            restored.close()
            listOf(phone, tablet).forEach { it.shutdown() }
        }
    }

    private suspend fun withFile(work: suspend (Path) -> Unit) {
        val folder = Files.createTempDirectory("presence")
        val file = folder.resolve("presence.json")
        try {
            work(file)
        } finally {
            folder.toFile().deleteRecursively()
        }
    }
}
