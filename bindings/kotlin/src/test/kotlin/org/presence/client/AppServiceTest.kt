package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.withTimeout

/** The events of the channel of a back end, and its end. */
class AppServiceTest {
    @Test
    fun `users who are online are in the snapshot, and changes follow it`() = withTestServer { server ->
        val app = server.application()
        val (alice, bob) = listOf(server.grant("alice", app), server.grant("bob", app))
        PresenceDevice.open(this, server.device("alice")).use { phone ->
            phone.connected()
            phone.confirmed()
            PresenceAppService.open(this, server.appService(app)).use { service ->
                val snapshot = assertIs<AppServiceEvent.Snapshot>(service.events.await { it is AppServiceEvent.Snapshot })
                assertEquals(listOf(alice), snapshot.presence.map { it.uid })
                val map = PresenceMap().apply { apply(snapshot) }
                PresenceDevice.open(this, server.device("bob").copy(message = "in town")).use {
                    service.awaitStatus(map, bob, PresenceStatus.Online, "in town")
                    assertEquals(setOf(alice, bob), map.all().map { it.uid }.toSet())
                }
                val gone = service.events.await { event ->
                    event is AppServiceEvent.Updates && event.presence.any { it.status == PresenceStatus.Offline }
                }
                val update = assertIs<AppServiceEvent.Updates>(gone).presence.single()
                assertEquals(bob to PresenceOfflineCause.Left, update.uid to update.cause)
                map.apply(gone)
                assertEquals(1uL, map.count())
            }
        }
    }

    @Test
    fun `a query returns a result for known and unknown users`() = withTestServer { server ->
        val app = server.application()
        val alice = server.grant("alice", app)
        val unknownUid = "0".repeat(32)
        PresenceAppService.open(this, server.appService(app)).use { service ->
            val (known, unknown) = service.query(listOf(alice, unknownUid))
            assertEquals(PresenceStatus.Offline, assertIs<QueryResult.Known>(known).presence.status)
            assertEquals(QueryResult.Unknown(unknownUid), unknown)
            assertFailsWith<PresenceException.InvalidArgument> { service.query(listOf("not-an-id")) }
        }
    }

    @Test
    fun `the update after a revoke is marked as revoked`() = withTestServer { server ->
        val app = server.application()
        val alice = server.grant("alice", app)
        PresenceAppService.open(this, server.appService(app)).use { service ->
            service.state.await { it is ConnectionState.Connected }
            server.command("revoke", "name" to "alice", "appid" to app.appid)
            val updates = service.events.await {
                it is AppServiceEvent.Updates && it.presence.any(PresenceUpdate::revoked)
            }
            assertEquals(alice, assertIs<AppServiceEvent.Updates>(updates).presence.single().uid)
        }
    }

    @Test
    fun `the stream continues after the server was killed`() = withTestServer { server ->
        val app = server.application()
        val alice = server.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, server.appService(app)).use { service ->
            PresenceDevice.open(this, server.device("alice", credential = null), { server.credential("alice") }).use { phone ->
                service.awaitStatus(map, alice, PresenceStatus.Online)
                server.kill()
                service.events.await { map.apply(it); !map.isLive() }
                assertEquals(PresenceStatus.Online, map.status(alice), "the map keeps the last known status until the next event")
                server.restart()
                phone.connected()
                phone.setStatus(PresenceStatus.Online, "back")
                service.awaitStatus(map, alice, PresenceStatus.Online, "back")
            }
        }
    }

    @Test
    fun `a refused API key is not tried again, and a valid one connects`() = withTestServer { server ->
        val app = server.application()
        PresenceAppService.open(this, server.appService(app.copy(apiKey = "nonsense"))).use { service ->
            val signedOut = service.state.await { it is ConnectionState.SignedOut } as ConnectionState.SignedOut
            assertEquals(PresenceErrno.INVALID_API_KEY, assertIs<PresenceException.Refused>(signedOut.reason).errno)
            service.setApiKey(Secret(app.apiKey))
            service.state.await { it is ConnectionState.Connected }
        }
    }

    @Test
    fun `the state is up to date while no event is collected`() = withTestServer { server ->
        val app = server.application()
        PresenceAppService.open(this, server.appService(app)).use { service ->
            service.state.await { it is ConnectionState.Connected }
            server.kill()
            service.state.await { it is ConnectionState.Waiting || it is ConnectionState.Connecting }
            server.restart()
            service.state.await { it is ConnectionState.Connected }
        }
    }

    @Test
    fun `deactivating the Application ends its channel`() = withTestServer { server ->
        val app = server.application()
        PresenceAppService.open(this, server.appService(app)).use { service ->
            service.state.await { it is ConnectionState.Connected }
            server.command("deactivate", "appid" to app.appid)
            val events = withTimeout(TIMEOUT) { service.events.toList() }
            assertEquals(AppServiceEvent.State(ConnectionState.Ended(EndReason.ApplicationClosed)), events.last())
            assertIs<ConnectionState.Ended>(service.state.value)
            val ended = assertFailsWith<PresenceException.Ended> { service.query(listOf("0".repeat(32))) }
            assertTrue(!ended.isRetryable)
        }
    }
}
