package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertNull
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.withTimeoutOrNull

/** Notifications from a back end to a device, and the acknowledgements. */
class NotificationTest {
    @Test
    fun `a notification reaches the device, and its receipt the back end`() = withTestServer { server ->
        val app = server.application("Lunch club")
        val uid = server.grant("alice", app)
        val service = PresenceAppService.open(this, server.appService(app, receipts = true))
        val device = PresenceDevice.open(this, server.device("alice"))
        device.connected()

        val queued = service.notify(NewNotification(uid, "Lunch?", action = "https://lunch.example/today"))
        val handling = launch { device.handleNotifications { } }
        val receipts = assertIs<AppServiceEvent.Receipts>(service.events.await { it is AppServiceEvent.Receipts })
        assertEquals(listOf(NotificationReceipt(queued.id, uid, ReceiptState.Acknowledged)), receipts.receipts)
        handling.cancelAndJoin()
        device.shutdown()
        service.shutdown()
    }

    @Test
    fun `only notifications without an acknowledgement are delivered to the next channel`() = withTestServer { server ->
        val app = server.application("Lunch club")
        val uid = server.grant("alice", app)
        val service = PresenceAppService.open(this, server.appService(app))
        PresenceDevice.open(this, server.device("alice")).let { device ->
            device.connected()
            service.notify(listOf(NewNotification(uid, "first", source = "Bob"), NewNotification(uid, "second")))
            val both = withTimeout(TIMEOUT) { device.notifications.take(2).toList() }
            assertEquals(listOf("first" to "Bob", "second" to "Lunch club"), both.map { it.message to it.source })
            assertEquals(setOf("Lunch club"), both.map { it.application }.toSet())
            device.acknowledge(both.first())
            device.confirmed()
            device.shutdown()
        }
        PresenceDevice.open(this, server.device("alice")).let { device ->
            assertEquals("second", device.notifications.await().message)
            assertNull(withTimeoutOrNull(300.milliseconds) { device.notifications.await() })
            device.shutdown()
        }
        service.shutdown()
    }

    @Test
    fun `each notification of a batch has its own result`() = withTestServer { server ->
        val app = server.application()
        val uid = server.grant("alice", app)
        val service = PresenceAppService.open(this, server.appService(app))
        val items = listOf(
            NewNotification(uid, "good"),
            NewNotification("not-an-id", "bad"),
            NewNotification("0".repeat(32), "unknown"),
            NewNotification(uid, "x".repeat(513)),
            NewNotification(uid, "good too", ttlSeconds = 60u, idempotencyKey = "once"),
            NewNotification(uid, "good too", ttlSeconds = 60u, idempotencyKey = "once"),
        )
        val results = service.notify(items)
        val queued = results.map { (it as? NotifyResult.Queued)?.queued }
        assertEquals(listOf(true, false, false, false, true, true), queued.map { it != null })
        assertEquals(queued[4]?.id, queued[5]?.id)
        val reasons = results.filterIsInstance<NotifyResult.NotQueued>().map { it.reason }
        assertIs<PresenceException.InvalidArgument>(reasons[0])
        assertEquals(PresenceErrno.UNKNOWN_UID, assertIs<PresenceException.Refused>(reasons[1]).errno)
        assertEquals(12u, assertIs<PresenceException.Refused>(reasons[2]).code.toUInt())
        assertFailsWith<PresenceException.Refused> { service.notify(NewNotification("0".repeat(32), "unknown")) }
        service.shutdown()
    }

    @Test
    fun `a collector that is cancelled again and again loses and repeats no notification`() = withTestServer { server ->
        val app = server.application()
        val uid = server.grant("alice", app)
        val service = PresenceAppService.open(this, server.appService(app))
        val device = PresenceDevice.open(this, server.device("alice"))
        device.connected()
        val expected = (1..90).map { "number $it" }
        val sending = async {
            expected.chunked(10).forEach { chunk ->
                service.notify(chunk.map { NewNotification(uid, it) })
            } }

        val received = mutableListOf<String>()
        withTimeout(TIMEOUT) {
            while (received.size < expected.size) {
                // Cancelled at an arbitrary point.
                withTimeoutOrNull(2.milliseconds) {
                    device.handleNotifications { received += it.message }
                }
            }
        }
        sending.await()
        assertEquals(expected, received)
        device.confirmed()
        device.shutdown()
        service.shutdown()
    }

    @Test
    fun `the generated channel returns a notification again until it is confirmed`() = withTestServer { server ->
        val app = server.application()
        val uid = server.grant("alice", app)
        DeviceChannel.open(server.device("alice")).use { channel ->
            suspend fun next() = withTimeout(TIMEOUT) { channel.nextNotification() }!!
            server.command("notify", "appid" to app.appid, "uid" to uid, "message" to "once")
            val first = next()
            assertEquals("once", first.notification.message)
            assertEquals(first, next())
            channel.confirmNotification(first.number)
            server.command("notify", "appid" to app.appid, "uid" to uid, "message" to "twice")
            assertEquals("twice", next().notification.message)
            channel.shutdown()
        }
    }

    @Test
    fun `more than a thousand unread notifications wait and none is lost`() = withTestServer("verifications-burst" to 100) { server ->
        val sent = sendFromManyApplications(server, applications = 12, each = 100)
        PresenceDevice.open(this, server.device("alice")).use { device ->
            device.connected()
            device.confirmed()
            val received = withTimeout(TIMEOUT) { device.notifications.take(sent.size).toList() }
            assertEquals(sent, received.map { it.message }.sorted())
        }
    }

    /**
     * Sends notifications to Alice. The queue of one Application is limited, so there are several.
     */
    private suspend fun sendFromManyApplications(
        server: TestServer,
        applications: Int,
        each: Int,
    ): List<String> {
        val api = PresenceApi(server.url)
        val texts = (1..applications).flatMap { number ->
            val app = server.application("Application $number")
            val uid = server.grant("alice", app)
            val texts = (1..each).map { "$number/$it" }
            api.appService(app.appid, Secret(app.apiKey)).notify(texts.map { NewNotification(uid, it) })
            texts
        }
        return texts.sorted()
    }
}
