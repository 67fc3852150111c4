package org.presence.client

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** The REST calls, and the errors that the channels have too. */
class ApiTest {
    @Test
    fun `a user signs in, grants, pauses and revokes an Application, and signs out`() = withTestServer { server ->
        val app = server.application("Lunch club")
        val api = PresenceApi(server.url)
        val signedIn = api.signIn(api.devAssertion("alice@dev.localhost"), SessionScope.ACCOUNT)
        assertEquals("alice@dev.localhost", signedIn.email)
        val user = api.user(signedIn.token)
        assertEquals(SessionScope.ACCOUNT, user.session().scope)

        val granted = user.grant(app.appid)
        assertEquals(granted.uid, user.grant(app.appid).uid)
        assertEquals(listOf("Lunch club" to granted.uid), user.grants().map { it.name to it.uid })
        assertTrue(user.pause(app.appid, true).paused)
        assertFalse(user.pause(app.appid, false).paused)
        assertNull(user.account().notifications.firstOrNull())
        user.revoke(app.appid)
        assertEquals(emptyList(), user.grants())

        user.signOut()
        val expired = assertFailsWith<PresenceException.Refused> { user.grants() }
        assertContains(listOf(PresenceErrno.SESSION_EXPIRED, PresenceErrno.NOT_AUTHENTICATED), expired.errno)
    }

    @Test
    fun `a user lists the connected devices, and ends one`() = withTestServer { server ->
        val api = PresenceApi(server.url)
        val session = api.signIn(api.devAssertion("alice@dev.localhost"), SessionScope.ACCOUNT)
        val user = api.user(session.token)
        PresenceDevice.open(this, server.device("alice").copy(message = "here")).use { phone ->
            phone.connected()
            phone.confirmed()
            val device = user.devices().single()
            assertEquals(listOf("phone", "here", true), listOf(device.name, device.message, device.connected))
            user.endDevice("phone")
            assertEquals(EndReason.EndedByUser, phone.endReason())
        }
    }

    @Test
    fun `a user lists the sessions, and ends others`() = withTestServer { server ->
        val api = PresenceApi(server.url)
        suspend fun signIn() = api.user(api.signIn(api.devAssertion("alice@dev.localhost"), SessionScope.ACCOUNT).token)
        val (user, second, third) = listOf(signIn(), signIn(), signIn())
        val sessions = second.sessions()
        assertEquals(3, sessions.size)
        user.endSession(sessions.single { it.current }.id)
        assertEquals(PresenceErrno.SESSION_EXPIRED, assertFailsWith<PresenceException.Refused> { second.session() }.errno)
        user.endOtherSessions()
        assertEquals(PresenceErrno.SESSION_EXPIRED, assertFailsWith<PresenceException.Refused> { third.session() }.errno)
        assertEquals(listOf(SessionScope.ACCOUNT to true), user.sessions().map { it.scope to it.current })
    }

    @Test
    fun `a back end queries and notifies without a channel`() = withTestServer { server ->
        val app = server.application()
        val alice = server.grant("alice", app)
        val service = PresenceApi(server.url).appService(app.appid, Secret(app.apiKey))
        PresenceDevice.open(this, server.device("alice")).use { phone ->
            phone.connected()
            phone.confirmed()
            assertEquals(listOf(alice), service.presencePage().presence.map { it.uid })
            service.notifyOne(NewNotification(alice, "Lunch?"))
            assertEquals("Lunch?", phone.notifications.await().message)
        }
    }

    @Test
    fun `each kind of error shows whether a retry can help`() = withTestServer { server ->
        val app = server.application()
        val api = PresenceApi(server.url)
        val refused = assertFailsWith<PresenceException.Refused> {
            api.appService(app.appid, Secret("nonsense")).presencePage()
        }
        assertEquals(PresenceErrno.INVALID_API_KEY, refused.errno)
        assertEquals(41u, refused.code.toUInt())
        assertFalse(refused.isRetryable)
        assertFailsWith<PresenceException.InvalidArgument> { api.appService("not-an-id", Secret(app.apiKey)) }
        assertFailsWith<PresenceException.InvalidArgument> { PresenceApi("ftp://presence.example") }
        server.kill()
        val unreachable = assertFailsWith<PresenceException.Unreachable> { api.devAssertion("alice@dev.localhost") }
        assertTrue(unreachable.isRetryable)
    }

    @Test
    fun `no secret is printed`() = withTestServer { server ->
        val app = server.application()
        val api = PresenceApi(server.url)
        val signedIn = api.signIn(api.devAssertion("alice@dev.localhost"), SessionScope.DEVICE)
        val credential = token(signedIn.token.reveal())
        val records = listOf(server.appService(app), server.device("alice", credential = credential), signedIn)
        for (secret in listOf(app.apiKey, signedIn.token.reveal())) {
            assertFalse(secret in "$records ${signedIn.token}")
        }
    }
}
