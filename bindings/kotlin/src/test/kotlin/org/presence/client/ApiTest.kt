package org.presence.client

import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNull
import kotlin.test.assertTrue

/** The REST calls, and the errors that they share with the channels. */
class ApiTest {
    @Test
    fun `a user signs in, lets an Application in, pauses and revokes it, and signs out`() = onStage { stage ->
        val app = stage.application("Lunch club")
        val api = PresenceApi(stage.url)
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
    fun `a user sees what is connected, and ends it`() = onStage { stage ->
        val user = PresenceApi(stage.url).let { it.user(it.signIn(it.devAssertion("alice@dev.localhost"), SessionScope.ACCOUNT).token) }
        PresenceDevice.open(this, stage.device("alice").copy(message = "here")).use { phone ->
            phone.connected()
            phone.settled()
            val device = user.devices().single()
            assertEquals(listOf("phone", "here", true), listOf(device.name, device.message, device.connected))
            user.endDevice("phone")
            assertEquals(ChannelEnd.EndedByUser, phone.end())
        }
    }

    @Test
    fun `a back end polls and notifies without a channel`() = onStage { stage ->
        val app = stage.application()
        val alice = stage.grant("alice", app)
        val service = PresenceApi(stage.url).appService(app.appid, Secret(app.apiKey))
        PresenceDevice.open(this, stage.device("alice")).use { phone ->
            phone.connected()
            phone.settled()
            assertEquals(listOf(alice), service.presencePage().presence.map { it.uid })
            service.notifyOne(NewNotification(alice, "Lunch?"))
            assertEquals("Lunch?", phone.notifications.await().message)
        }
    }

    @Test
    fun `each error is of a kind that says what to do`() = onStage { stage ->
        val app = stage.application()
        val api = PresenceApi(stage.url)
        val refused = assertFailsWith<PresenceException.Refused> {
            api.appService(app.appid, Secret("nonsense")).presencePage()
        }
        assertEquals(PresenceErrno.INVALID_API_KEY, refused.errno)
        assertEquals(41u, refused.code.toUInt())
        assertFalse(refused.isRetryable)
        assertFailsWith<PresenceException.InvalidArgument> { api.appService("nobody", Secret(app.apiKey)) }
        assertFailsWith<PresenceException.InvalidArgument> { PresenceApi("ftp://presence.example") }
        stage.kill()
        val unreachable = assertFailsWith<PresenceException.Unreachable> { api.devAssertion("alice@dev.localhost") }
        assertTrue(unreachable.isRetryable)
    }

    @Test
    fun `no secret is printed`() = onStage { stage ->
        val app = stage.application()
        val api = PresenceApi(stage.url)
        val signedIn = api.signIn(api.devAssertion("alice@dev.localhost"), SessionScope.DEVICE)
        val options = listOf(stage.appService(app), stage.device("alice", credential = token(signedIn.token.reveal())), signedIn)
        for (secret in listOf(app.apiKey, signedIn.token.reveal())) {
            assertFalse(secret in "$options ${signedIn.token}")
        }
    }
}
