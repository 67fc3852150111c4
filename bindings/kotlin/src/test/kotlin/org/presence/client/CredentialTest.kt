package org.presence.client

import java.util.concurrent.atomic.AtomicInteger
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout

/** Credential providers that fail and hang, and the cache of credentials. */
class CredentialTest {
    @Test
    fun `a hint ends the wait before the provider is called again`() = withTestServer { server ->
        // Without hints the last waits would take many minutes.
        val timing = ChannelTiming(backoffFloor = 0.02, backoffCeiling = 3600.0)
        val calls = AtomicInteger()
        val options = server.device("alice", credential = null).copy(timing = timing)
        val device = PresenceDevice.open(this, options) {
            check(calls.incrementAndGet() > 16) { "the identity provider cannot be reached" }
            server.credential("alice")
        }
        val hinting = launch { while (true) { device.networkChanged(); delay(5.milliseconds) } }
        device.connected()
        hinting.cancelAndJoin()
        assertEquals(17, calls.get())
        device.shutdown()
    }

    @Test
    fun `a credential of the app ends the wait before the provider is called again`() = withTestServer { server ->
        val failed = CompletableDeferred<Unit>()
        val timing = ChannelTiming(backoffFloor = 3600.0, backoffCeiling = 3600.0)
        val options = server.device("alice", credential = null).copy(timing = timing)
        val device = PresenceDevice.open(this, options) {
            failed.complete(Unit)
            error("the identity provider cannot be reached")
        }
        withTimeout(TIMEOUT) { failed.await() }
        device.setCredential(server.credential("alice"))
        device.connected()
        device.shutdown()
    }

    @Test
    fun `a credential of the app cancels a provider that hangs`() = withTestServer { server ->
        val called = CompletableDeferred<Unit>()
        val cancelled = CompletableDeferred<Unit>()
        val device = PresenceDevice.open(this, server.device("alice", credential = null)) {
            called.complete(Unit)
            try { awaitCancellation() } finally { cancelled.complete(Unit) }
        }
        withTimeout(TIMEOUT) { called.await() }
        device.setCredential(server.credential("alice"))
        withTimeout(TIMEOUT) { cancelled.await() }
        device.connected()
        device.shutdown()
    }

    @Test
    fun `devices that share a cache sign in once`() = withTestServer { server ->
        val fetches = AtomicInteger()
        val credentials = CachedCredentials {
            fetches.incrementAndGet()
            ExpiringCredential(token(server.command("sign_in", "name" to "alice").text("token")))
        }
        val devices = (1..5).map {
            PresenceDevice.open(this, server.device("alice", "phone$it", credential = null), credentials.provider())
        }
        devices.forEach { it.connected() }
        assertEquals(1, fetches.get())
        val first = credentials.credential() as Credential.Token
        credentials.invalidate(first)
        val second = credentials.credential() as Credential.Token
        assertEquals(2, fetches.get())
        assertEquals(false, first.token.reveal() == second.token.reveal())
        devices.forEach { it.shutdown() }
        credentials.close()
    }

    @Test
    fun `a failure of a fetch goes to all that wait, and the next call fetches again`() = withTestServer {
        val fetches = AtomicInteger()
        val begun = CompletableDeferred<Unit>()
        val fail = CompletableDeferred<Unit>()
        val credentials = CachedCredentials {
            if (fetches.incrementAndGet() == 1) { begun.complete(Unit); fail.await(); throw SignedOutException() }
            ExpiringCredential(token("second"))
        }
        val fetching = async { runCatching { credentials.credential() } }
        begun.await()
        val waiting = (1..10).map { async { runCatching { credentials.credential() } } }
        delay(50.milliseconds)
        fail.complete(Unit)
        for (result in (waiting + fetching).awaitAll()) assertIs<SignedOutException>(result.exceptionOrNull())
        assertEquals("second", (credentials.credential() as Credential.Token).token.reveal())
        credentials.close()
    }

    @Test
    fun `a fetch that is cancelled is made by another caller`() = withTestServer {
        val fetches = AtomicInteger()
        val begun = CompletableDeferred<Unit>()
        val credentials = CachedCredentials {
            if (fetches.incrementAndGet() == 1) { begun.complete(Unit); awaitCancellation() }
            ExpiringCredential(token("second"))
        }
        val fetching = launch { credentials.credential() }
        begun.await()
        val waiting = async { credentials.credential() }
        fetching.cancelAndJoin()
        val given = withTimeout(TIMEOUT) { waiting.await() }
        assertEquals("second", (given as Credential.Token).token.reveal())
        credentials.close()
    }

    @Test
    fun `a refused credential that is fetched once more is an error`() = withTestServer {
        val credentials = CachedCredentials { ExpiringCredential(token("stale")) }
        credentials.invalidate(credentials.credential())
        assertFailsWith<PresenceException.Unexpected> { credentials.credential() }
        credentials.close()
    }
}
