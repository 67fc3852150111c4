package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.withTimeout

/** What a phone does, and what its user's Applications see of it. */
class DeviceTest {
    @Test
    fun `an Application sees what a device says`() = onStage { stage ->
        val app = stage.application()
        val uid = stage.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            PresenceDevice.open(this, stage.device("alice")).use { device ->
                device.connected()
                service.sees(map, uid, PresenceStatus.ONLINE)
                device.setStatus(PresenceStatus.UNAVAILABLE, "at lunch")
                device.settled()
                service.sees(map, uid, PresenceStatus.UNAVAILABLE, "at lunch")
                device.setVisibility(emptyList())
                service.sees(map, uid, PresenceStatus.OFFLINE)
                device.setVisibility(listOf(app.appid))
                service.sees(map, uid, PresenceStatus.UNAVAILABLE, "at lunch")
            }
            // A clean close, so without a grace time.
            service.sees(map, uid, PresenceStatus.OFFLINE)
        }
    }

    @Test
    fun `the last status comes back by itself after the server was killed`() = onStage { stage ->
        val app = stage.application()
        val uid = stage.grant("alice", app)
        val map = PresenceMap()
        val service = PresenceAppService.open(this, stage.appService(app))
        val device = PresenceDevice.open(this, stage.device("alice", credential = null)) { stage.proof("alice") }
        device.connected()
        service.sees(map, uid, PresenceStatus.ONLINE)

        stage.kill()
        val waiting = assertIs<ConnectionState.Waiting>(device.state.await { it is ConnectionState.Waiting })
        assertTrue(waiting.reason.isRetryable, "${waiting.reason}")
        device.setStatus(PresenceStatus.UNAVAILABLE, "in a tunnel")
        stage.restart()

        device.connected()
        device.settled()
        service.sees(map, uid, PresenceStatus.UNAVAILABLE, "in a tunnel")
        device.shutdown()
        service.shutdown()
    }

    @Test
    fun `a short session is renewed over and over, and nobody notices`() = onStage("session-seconds" to 2) { stage ->
        var asked = 0
        val thrice = CompletableDeferred<Unit>()
        val device = PresenceDevice.open(this, stage.device("alice", credential = null)) { reason ->
            asked += 1
            if (asked == 1) assertEquals(CredentialReason.First, reason)
            if (asked == 4) thrice.complete(Unit)
            stage.proof("alice")
        }
        withTimeout(PATIENCE) { thrice.await() }
        device.connected()
        device.settled()
        device.shutdown()
    }

    @Test
    fun `a source that fails is asked again`() = onStage { stage ->
        var asked = 0
        val device = PresenceDevice.open(this, stage.device("alice", credential = null)) {
            asked += 1
            check(asked > 1) { "the identity provider cannot be reached" }
            stage.proof("alice")
        }
        device.connected()
        assertEquals(2, asked)
        device.shutdown()
    }

    @Test
    fun `without a source the app is told that a credential is wanted`() = onStage { stage ->
        val device = PresenceDevice.open(this, stage.device("alice", credential = null))
        assertEquals(CredentialReason.First, device.credentialWanted.await())
        assertIs<ConnectionState.CredentialWanted>(device.state.value)
        device.giveCredential(stage.proof("alice"))
        device.connected()
        device.shutdown()
    }

    @Test
    fun `a user who is signed out stays so until a credential is given`() = onStage { stage ->
        val device = PresenceDevice.open(this, stage.device("alice", credential = assertion("nonsense"))) {
            throw SignedOutException()
        }
        val signedOut = device.state.await { it is ConnectionState.SignedOut || it is ConnectionState.CredentialWanted }
        if (signedOut is ConnectionState.SignedOut) {
            assertEquals(PresenceErrno.INVALID_ASSERTION, assertIs<PresenceException.Refused>(signedOut.reason).errno)
        }
        device.giveCredential(stage.proof("alice"))
        device.connected()
        device.shutdown()
    }

    @Test
    fun `a newer connection of the same device replaces the older for good`() = onStage { stage ->
        val older = PresenceDevice.open(this, stage.device("alice"))
        older.connected()
        val newer = PresenceDevice.open(this, stage.device("alice"))
        newer.connected()
        assertEquals(ChannelEnd.Replaced, older.end())
        assertEquals(emptyList(), withTimeout(PATIENCE) { older.notifications.toList() })
        val ended = assertFailsWith<PresenceException.Ended> { older.settled() }
        assertEquals(ChannelEnd.Replaced, ended.end)
        older.close()
        newer.shutdown()
    }

    @Test
    fun `a device that the user ends does not come back`() = onStage { stage ->
        PresenceDevice.open(this, stage.device("alice")).use { device ->
            device.connected()
            stage.order("end_device", "name" to "alice", "device" to "phone")
            assertEquals(ChannelEnd.EndedByUser, device.end())
        }
    }

    @Test
    fun `what cannot be is refused before anything is sent`() = onStage { stage ->
        val options = stage.device("alice", credential = null)
        for (bad in listOf(options.copy(server = "ftp://x"), options.copy(device = "a b"), options.copy(message = "a\nb"))) {
            assertFailsWith<PresenceException.InvalidArgument> { PresenceDevice.open(this, bad) }
        }
        PresenceDevice.open(this, options).use { device ->
            assertFailsWith<PresenceException.InvalidArgument> { device.setStatus(PresenceStatus.ONLINE, "x".repeat(129)) }
            assertFailsWith<PresenceException.InvalidArgument> { device.setVisibility(listOf("nobody")) }
        }
    }
}
