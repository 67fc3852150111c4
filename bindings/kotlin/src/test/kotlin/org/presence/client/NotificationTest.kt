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

/** The way of a live notification, from a back end to a phone and back. */
class NotificationTest {
    @Test
    fun `a notification goes to the device, and its acknowledgement back`() = onStage { stage ->
        val app = stage.application("Lunch club")
        val uid = stage.grant("alice", app)
        val service = PresenceAppService.open(this, stage.appService(app, receipts = true))
        val device = PresenceDevice.open(this, stage.device("alice"))
        device.connected()

        val queued = service.notify(NewNotification(uid, "Lunch?", action = "https://lunch.example/today"))
        val taking = launch { device.takeNotifications { } }
        val receipts = assertIs<AppServiceEvent.Receipts>(service.events.await { it is AppServiceEvent.Receipts })
        assertEquals(listOf(NotificationReceipt(queued.id, uid, NotificationFate.ACKNOWLEDGED)), receipts.receipts)
        taking.cancelAndJoin()
        device.shutdown()
        service.shutdown()
    }

    @Test
    fun `what was not acknowledged comes again to the next channel, and what was does not`() = onStage { stage ->
        val app = stage.application("Lunch club")
        val uid = stage.grant("alice", app)
        val service = PresenceAppService.open(this, stage.appService(app))
        PresenceDevice.open(this, stage.device("alice")).let { device ->
            device.connected()
            service.notify(listOf(NewNotification(uid, "first"), NewNotification(uid, "second")))
            val both = withTimeout(PATIENCE) { device.notifications.take(2).toList() }
            assertEquals(listOf("first" to "Lunch club", "second" to "Lunch club"), both.map { it.message to it.source })
            device.acknowledge(both.first())
            device.settled()
            device.shutdown()
        }
        PresenceDevice.open(this, stage.device("alice")).let { device ->
            assertEquals("second", device.notifications.await().message)
            assertNull(withTimeoutOrNull(300.milliseconds) { device.notifications.await() })
            device.shutdown()
        }
        service.shutdown()
    }

    @Test
    fun `each notification of a batch has its own answer`() = onStage { stage ->
        val app = stage.application()
        val uid = stage.grant("alice", app)
        val service = PresenceAppService.open(this, stage.appService(app))
        val items = listOf(
            NewNotification(uid, "good"),
            NewNotification("nobody", "bad"),
            NewNotification("0".repeat(32), "unknown"),
            NewNotification(uid, "x".repeat(513)),
            NewNotification(uid, "good too", ttlSeconds = 60u, idempotencyKey = "once"),
            NewNotification(uid, "good too", ttlSeconds = 60u, idempotencyKey = "once"),
        )
        val outcomes = service.notify(items)
        val queued = outcomes.map { (it as? NotifyOutcome.Queued)?.queued }
        assertEquals(listOf(true, false, false, false, true, true), queued.map { it != null })
        assertEquals(queued[4]?.id, queued[5]?.id)
        val reasons = outcomes.filterIsInstance<NotifyOutcome.NotQueued>().map { it.reason }
        assertIs<PresenceException.InvalidArgument>(reasons[0])
        assertEquals(PresenceErrno.UNKNOWN_UID, assertIs<PresenceException.Refused>(reasons[1]).errno)
        assertEquals(12u, assertIs<PresenceException.Refused>(reasons[2]).code.toUInt())
        assertFailsWith<PresenceException.Refused> { service.notify(NewNotification("0".repeat(32), "unknown")) }
        service.shutdown()
    }

    @Test
    fun `a reader that is cancelled again and again misses nothing and hears nothing twice`() = onStage { stage ->
        val app = stage.application()
        val uid = stage.grant("alice", app)
        val service = PresenceAppService.open(this, stage.appService(app))
        val device = PresenceDevice.open(this, stage.device("alice"))
        device.connected()
        val expected = (1..90).map { "number $it" }
        val sending = async { expected.chunked(10).forEach { some -> service.notify(some.map { NewNotification(uid, it) }) } }

        val heard = mutableListOf<String>()
        withTimeout(PATIENCE) {
            while (heard.size < expected.size) {
                // Cut off in the midst of it, wherever that is.
                withTimeoutOrNull(2.milliseconds) {
                    device.takeNotifications { heard += it.message }
                }
            }
        }
        sending.await()
        assertEquals(expected, heard)
        device.settled()
        device.shutdown()
        service.shutdown()
    }

    @Test
    fun `the raw channel gives an event again until its number is confirmed`() = onStage { stage ->
        val app = stage.application()
        val uid = stage.grant("alice", app)
        DeviceChannel.open(stage.device("alice")).use { channel ->
            var taken = 0uL
            suspend fun next() = withTimeout(PATIENCE) { channel.nextEvent(taken) }!!
            while (channel.state() !is ConnectionState.Connected) taken = next().number
            stage.order("notify", "appid" to app.appid, "uid" to uid, "message" to "once")
            var event = next()
            while (event.event !is DeviceEvent.Notification) {
                taken = event.number
                event = next()
            }
            assertEquals(event, next())
            channel.eventTaken(event.number)
            assertNull(withTimeoutOrNull(100.milliseconds) { channel.nextEvent(0u) })
            assertNull(withTimeoutOrNull(100.milliseconds) { channel.nextEvent(0u) })
            channel.shutdown()
        }
    }
}
