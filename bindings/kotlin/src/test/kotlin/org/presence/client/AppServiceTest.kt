package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertIs
import kotlin.test.assertTrue
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.withTimeout

/** What a back end hears, and how its channel ends. */
class AppServiceTest {
    @Test
    fun `everybody who is there comes in a snapshot, and changes after it`() = onStage { stage ->
        val app = stage.application()
        val (alice, bob) = listOf(stage.grant("alice", app), stage.grant("bob", app))
        PresenceDevice.open(this, stage.device("alice")).use { phone ->
            phone.connected()
            phone.settled()
            PresenceAppService.open(this, stage.appService(app)).use { service ->
                val snapshot = assertIs<AppServiceEvent.Snapshot>(service.events.await { it is AppServiceEvent.Snapshot })
                assertEquals(listOf(alice), snapshot.presence.map { it.uid })
                val map = PresenceMap().apply { apply(snapshot) }
                PresenceDevice.open(this, stage.device("bob").copy(message = "in town")).use {
                    service.sees(map, bob, PresenceStatus.ONLINE, "in town")
                    assertEquals(setOf(alice, bob), map.everybody().map { it.uid }.toSet())
                }
                service.sees(map, bob, PresenceStatus.OFFLINE)
                assertEquals(1uL, map.count())
            }
        }
    }

    @Test
    fun `who is asked for is told, whether known or not`() = onStage { stage ->
        val app = stage.application()
        val alice = stage.grant("alice", app)
        val nobody = "0".repeat(32)
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            val (known, unknown) = service.query(listOf(alice, nobody))
            assertEquals(PresenceStatus.OFFLINE, assertIs<QueryOutcome.Known>(known).presence.status)
            assertEquals(QueryOutcome.Unknown(nobody), unknown)
            assertFailsWith<PresenceException.InvalidArgument> { service.query(listOf("somebody")) }
        }
    }

    @Test
    fun `a revoked user is told as such`() = onStage { stage ->
        val app = stage.application()
        val alice = stage.grant("alice", app)
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            service.state.await { it is ConnectionState.Connected }
            stage.order("revoke", "name" to "alice", "appid" to app.appid)
            val updates = service.events.await { it is AppServiceEvent.Updates && it.presence.any(UserPresence::revoked) }
            assertEquals(alice, assertIs<AppServiceEvent.Updates>(updates).presence.single().uid)
        }
    }

    @Test
    fun `the stream goes on where it stopped after the server was killed`() = onStage { stage ->
        val app = stage.application()
        val alice = stage.grant("alice", app)
        val map = PresenceMap()
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            PresenceDevice.open(this, stage.device("alice", credential = null), { stage.proof("alice") }).use { phone ->
                service.sees(map, alice, PresenceStatus.ONLINE)
                stage.kill()
                service.events.await { map.apply(it); !map.isLive() }
                assertEquals(PresenceStatus.ONLINE, map.status(alice), "what was known is shown until there is news")
                stage.restart()
                phone.connected()
                phone.setStatus(PresenceStatus.ONLINE, "back")
                service.sees(map, alice, PresenceStatus.ONLINE, "back")
            }
        }
    }

    @Test
    fun `a wrong key is not tried again, and a right one helps`() = onStage { stage ->
        val app = stage.application()
        PresenceAppService.open(this, stage.appService(app.copy(apiKey = "nonsense"))).use { service ->
            val signedOut = service.state.await { it is ConnectionState.SignedOut } as ConnectionState.SignedOut
            assertEquals(PresenceErrno.INVALID_API_KEY, assertIs<PresenceException.Refused>(signedOut.reason).errno)
            service.giveApiKey(Secret(app.apiKey))
            service.state.await { it is ConnectionState.Connected }
        }
    }

    @Test
    fun `the state is known while nobody reads the events`() = onStage { stage ->
        val app = stage.application()
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            service.state.await { it is ConnectionState.Connected }
            stage.kill()
            service.state.await { it is ConnectionState.Waiting || it is ConnectionState.Connecting }
            stage.restart()
            service.state.await { it is ConnectionState.Connected }
        }
    }

    @Test
    fun `a deactivated Application ends its channel for good`() = onStage { stage ->
        val app = stage.application()
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            service.state.await { it is ConnectionState.Connected }
            stage.order("deactivate", "appid" to app.appid)
            val events = withTimeout(PATIENCE) { service.events.toList() }
            assertEquals(AppServiceEvent.State(ConnectionState.Ended(ChannelEnd.ApplicationClosed)), events.last())
            assertIs<ConnectionState.Ended>(service.state.value)
            val ended = assertFailsWith<PresenceException.Ended> { service.query(listOf("0".repeat(32))) }
            assertTrue(!ended.isRetryable)
        }
    }
}
