package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.coroutines.yield

/** The flow that pulls items from a channel. */
class PulledFlowTest {
    @Test
    fun `an item is pulled only when a collector is ready for it`() = runBlocking<Unit> {
        val source = Source(last = 1_500)
        assertEquals(listOf(1, 2), source.flow.take(2).toList())
        assertEquals(2, source.pulls)
        assertEquals((3..1_500).toList(), source.flow.toList())
    }

    @Test
    fun `the flow completes after the last item, also for later collectors`() = runBlocking<Unit> {
        val source = Source(last = 3)
        assertEquals(listOf(1, 2, 3), source.flow.toList())
        assertEquals(emptyList(), source.flow.toList())
    }

    @Test
    fun `the flow completes after the state of its channel has ended`() = runBlocking<Unit> {
        val ended = CompletableDeferred<Unit>()
        val flow = PulledFlow<Int, Int>({ null }, ended::await) { it }
        val collecting = async { flow.toList() }
        repeat(10) { yield() }
        assertEquals(false, collecting.isCompleted)
        ended.complete(Unit)
        assertEquals(emptyList(), collecting.await())
    }

    @Test
    fun `a waiting collector lets other coroutines run`() = runBlocking<Unit> {
        // All coroutines share one thread, which a collector that does not suspend would block.
        val source = Source(last = 1, available = CompletableDeferred())
        val collecting = async { source.flow.toList() }
        yield()
        source.available.complete(Unit)
        assertEquals(listOf(1), collecting.await())
    }

    @Test
    fun `several collectors share the items`() = runBlocking<Unit>(Dispatchers.Default) {
        val source = Source(last = 2_000)
        val collected = (1..4).map { async { source.flow.toList() } }.awaitAll()
        assertEquals((1..2_000).toList(), collected.flatten().sorted())
    }

    @Test
    fun `a collector that is cancelled at any moment loses no item`() =
        runBlocking<Unit>(Dispatchers.Default) {
            val source = Source(last = 20_000)
            val received = mutableListOf<Int>()
            do {
                val completed = withTimeoutOrNull(1.milliseconds) { source.flow.collect { received += it } }
            } while (completed == null)
            assertEquals((1..20_000).toList(), received)
        }

    @Test
    fun `a collector that is cancelled while it waits pulls no item`() = runBlocking<Unit> {
        val source = Source(last = 1, available = CompletableDeferred())
        val collecting = launch { source.flow.collect {} }
        yield()
        collecting.cancelAndJoin()
        source.available.complete(Unit)
        assertEquals(listOf(1), source.flow.toList())
    }

    @Test
    fun `a failure of the source reaches the collector`() = runBlocking<Unit> {
        val flow = PulledFlow<Int, Int>({ throw PresenceException.TimedOut() }) { it }
        assertFailsWith<PresenceException.TimedOut> { flow.toList() }
    }

    /** A source like a channel: it returns an item again until the item is confirmed. */
    private class Source(
        private val last: Int,
        val available: CompletableDeferred<Unit> = CompletableDeferred(Unit),
    ) {
        private var confirmed = 0
        var pulls = 0
            private set

        val flow = PulledFlow({ next() }) { number: Int -> number.also { confirmed = it } }

        private suspend fun next(): Int? {
            available.await()
            yield()
            if (confirmed == last) return null
            pulls += 1
            return confirmed + 1
        }
    }
}
