package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.withTimeout

/** The channel of a device, and what an Application sees of it. */
class DeviceTest {
    @Test
    fun `an Application sees the status of a device`() = withTestServer { server ->
        val app = server.application()
        val uid = server.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, server.appService(app)).use { service ->
            PresenceDevice.open(this, server.device("alice")).use { device ->
                device.connected()
                service.awaitStatus(map, uid, PresenceStatus.Online)
                device.setStatus(PresenceStatus.Unavailable, "at lunch")
                device.confirmed()
                service.awaitStatus(map, uid, PresenceStatus.Unavailable, "at lunch")
                device.setVisibility(emptyList())
                service.awaitStatus(map, uid, PresenceStatus.Offline)
                device.setVisibility(listOf(app.appid))
                service.awaitStatus(map, uid, PresenceStatus.Unavailable, "at lunch")
            }
            // There is no grace time after an orderly close.
            service.awaitStatus(map, uid, PresenceStatus.Offline)
        }
    }

    @Test
    fun `the last status is sent again after the server was killed`() = withTestServer { server ->
        val app = server.application()
        val uid = server.grant("alice", app)
        val map = PresenceMap()
        val service = PresenceAppService.open(this, server.appService(app))
        val device = PresenceDevice.open(this, server.device("alice", credential = null)) { server.credential("alice") }
        device.connected()
        service.awaitStatus(map, uid, PresenceStatus.Online)

        server.kill()
        val waiting = assertIs<ConnectionState.Waiting>(device.state.await { it is ConnectionState.Waiting })
        assertTrue(waiting.reason.isRetryable, "${waiting.reason}")
        device.setStatus(PresenceStatus.Unavailable, "in a tunnel")
        server.restart()

        device.connected()
        device.confirmed()
        service.awaitStatus(map, uid, PresenceStatus.Unavailable, "in a tunnel")
        device.shutdown()
        service.shutdown()
    }

    @Test
    fun `a short session is renewed again and again without a reconnect`() = withTestServer("session-seconds" to 2) { server ->
        var requests = 0
        val renewedThreeTimes = CompletableDeferred<Unit>()
        val device = PresenceDevice.open(this, server.device("alice", credential = null)) { reason ->
            requests += 1
            if (requests == 1) assertEquals(CredentialReason.First, reason)
            if (requests == 4) renewedThreeTimes.complete(Unit)
            server.credential("alice")
        }
        withTimeout(TIMEOUT) { renewedThreeTimes.await() }
        device.connected()
        device.confirmed()
        device.shutdown()
    }

    @Test
    fun `a provider that fails is called again`() = withTestServer { server ->
        var calls = 0
        val device = PresenceDevice.open(this, server.device("alice", credential = null)) {
            calls += 1
            check(calls > 1) { "the identity provider cannot be reached" }
            server.credential("alice")
        }
        device.connected()
        assertEquals(2, calls)
        device.shutdown()
    }

    @Test
    fun `without a provider the app gets the credential requests`() = withTestServer { server ->
        val device = PresenceDevice.open(this, server.device("alice", credential = null))
        assertEquals(CredentialReason.First, device.credentialRequests.await())
        assertIs<ConnectionState.CredentialWanted>(device.state.value)
        device.setCredential(server.credential("alice"))
        device.connected()
        device.shutdown()
    }

    @Test
    fun `a user who is signed out stays signed out until the app sets a credential`() = withTestServer { server ->
        val device = PresenceDevice.open(this, server.device("alice", credential = assertion("nonsense"))) {
            throw SignedOutException()
        }
        val signedOut = device.state.await { it is ConnectionState.SignedOut } as ConnectionState.SignedOut
        assertEquals(PresenceErrno.NOT_AUTHENTICATED, assertIs<PresenceException.Refused>(signedOut.reason).errno)
        device.setCredential(server.credential("alice"))
        device.connected()
        device.shutdown()
    }

    @Test
    fun `a newer connection of the same device replaces the older one`() = withTestServer { server ->
        val older = PresenceDevice.open(this, server.device("alice"))
        older.connected()
        val newer = PresenceDevice.open(this, server.device("alice"))
        newer.connected()
        assertEquals(EndReason.Replaced, older.endReason())
        assertEquals(emptyList(), withTimeout(TIMEOUT) { older.notifications.toList() })
        val ended = assertFailsWith<PresenceException.Ended> { older.confirmed() }
        assertEquals(EndReason.Replaced, ended.reason)
        older.close()
        newer.shutdown()
    }

    @Test
    fun `a device that the user ends does not reconnect`() = withTestServer { server ->
        PresenceDevice.open(this, server.device("alice")).use { device ->
            device.connected()
            server.command("end_device", "name" to "alice", "device" to "phone")
            assertEquals(EndReason.EndedByUser, device.endReason())
        }
    }

    @Test
    fun `invalid arguments are refused before anything is sent`() = withTestServer { server ->
        val options = server.device("alice", credential = null)
        val invalid = listOf(
            options.copy(server = "ftp://x"),
            options.copy(device = "a b"),
            options.copy(message = "a\nb"),
        )
        for (options in invalid) {
            assertFailsWith<PresenceException.InvalidArgument> { PresenceDevice.open(this, options) }
        }
        PresenceDevice.open(this, options).use { device ->
            assertFailsWith<PresenceException.InvalidArgument> { device.setStatus(PresenceStatus.Online, "x".repeat(129)) }
            assertFailsWith<PresenceException.InvalidArgument> { device.setVisibility(listOf("not-an-id")) }
        }
    }
}
