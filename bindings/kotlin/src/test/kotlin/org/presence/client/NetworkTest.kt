package org.presence.client

import java.net.InetAddress
import java.net.ServerSocket
import kotlin.concurrent.thread
import kotlin.test.Test
import kotlin.test.assertContains
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlinx.coroutines.runBlocking

/** The way to the server: proxies and headers. */
class NetworkTest {
    @Test
    fun `a request names the app and the language, and has the headers of the app`() {
        val listener = ServerSocket(0, 1, InetAddress.getLoopbackAddress())
        val head = mutableListOf<String>()
        val server = thread {
            listener.accept().use { socket ->
                val lines = socket.getInputStream().bufferedReader().lineSequence()
                head += lines.takeWhile { it.isNotEmpty() }
                socket.getOutputStream().write("HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n".toByteArray())
            }
        }
        val network = NetworkOptions(product = "chat/1.2", headers = mapOf("X-Tenant" to Secret("blue")))
        val api = PresenceApi("http://127.0.0.1:${listener.localPort}", network = network)
        val refused = assertFailsWith<PresenceException.Refused> {
            runBlocking { api.user(Secret("token")).session() }
        }
        assertEquals(PresenceErrno.SLOW_DOWN, refused.errno)
        server.join()
        listener.close()
        assertContains(head, "x-tenant: blue")
        val agent = head.single { it.startsWith("user-agent: ") }
        assertTrue(Regex("user-agent: chat/1\\.2 presence-kotlin/\\S+ presence-client/\\S+ \\(rust\\)").matches(agent), agent)
    }

    @Test
    fun `a proxy that is not there is an error of its kind, and its credentials are not printed`() {
        val server = ProxyServer("127.0.0.1", 1u, user = Secret("the-user"), password = Secret("the-password"))
        for (proxy in listOf(PresenceProxy.Http(server), PresenceProxy.Socks5(server))) {
            val network = NetworkOptions(proxy = proxy)
            val api = PresenceApi("https://presence.example", network = network)
            val failed = assertFailsWith<PresenceException.Proxy> { runBlocking { api.devAssertion("alice@dev.localhost") } }
            assertEquals(ProxyErrorKind.UNREACHABLE, failed.kind)
            assertTrue(failed.isRetryable)
            assertFalse("the-" in "$failed $network")
        }
        val reserved = NetworkOptions(headers = mapOf("Authorization" to Secret("x")))
        assertFailsWith<PresenceException.InvalidArgument> { PresenceApi("https://presence.example", network = reserved) }
    }
}
