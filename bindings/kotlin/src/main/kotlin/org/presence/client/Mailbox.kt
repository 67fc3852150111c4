package org.presence.client

import kotlinx.coroutines.ExperimentalForInheritanceCoroutinesApi
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.FlowCollector
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.first

/**
 * A bounded queue that loses nothing when its reader is cancelled: an item is taken in the same breath in which the reader gets it. (That of
 * `kotlinx.coroutines.channels` may lose an item on its way to a reader that is cancelled.)
 */
internal class Mailbox<Item : Any>(private val capacity: Int) {
    private val waiting = ArrayDeque<Item>()
    private var ended = false

    /** Counts what happens here, for those who wait for it. */
    private val changes = MutableStateFlow(0L)

    /** The items, each for one reader, in order, until the end. */
    val items: Flow<Item> = Items()

    // The builder `flow` looks for a cancellation between the taking of an item and the reader, and so would lose it.
    @OptIn(ExperimentalForInheritanceCoroutinesApi::class)
    private inner class Items : Flow<Item> {
        override suspend fun collect(collector: FlowCollector<Item>) {
            while (true) {
                currentCoroutineContext().ensureActive()
                val seen = changes.value
                val item = take()
                if (item != null) {
                    collector.emit(item)
                } else if (isOver()) {
                    return
                } else {
                    changes.first { it != seen }
                }
            }
        }
    }

    /** Puts an item into the queue, unless it is full. */
    fun offer(item: Item): Boolean = synchronized(waiting) {
        val fits = waiting.size < capacity && !ended
        if (fits) {
            waiting.addLast(item)
            tell()
        }
        fits
    }

    /** Puts an item into the queue, in place of all that wait there. */
    fun replace(item: Item) = synchronized(waiting) {
        waiting.clear()
        waiting.addLast(item)
        tell()
    }

    /** Puts an item into the queue, as soon as it is not full. */
    suspend fun put(item: Item) {
        while (true) {
            val seen = changes.value
            if (offer(item)) return
            changes.first { it != seen }
        }
    }

    /** Nothing comes any more: readers end once they have what waits. */
    fun end() = synchronized(waiting) {
        ended = true
        tell()
    }

    private fun take(): Item? = synchronized(waiting) { waiting.removeFirstOrNull()?.also { tell() } }

    private fun isOver(): Boolean = synchronized(waiting) { ended && waiting.isEmpty() }

    /** Only where something has changed, and under the lock. */
    private fun tell() {
        changes.value += 1
    }
}
