package org.presence.client

import kotlinx.coroutines.ExperimentalForInheritanceCoroutinesApi
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.ensureActive
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.FlowCollector
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock

/**
 * A flow that pulls each item from the channel when a collector is ready for it. Nothing is
 * buffered here, so nothing can be dropped.
 *
 * Cancelling a collector loses no item. The channel keeps an item until it is confirmed, and it is
 * confirmed immediately before it is emitted, without a check for cancellation in between. For the
 * same reason this is not the builder `flow`, which has such a check.
 *
 * Several collectors share the items: each item goes to one of them.
 *
 * @param next waits for the next item, and returns null after the last one
 * @param awaitEnd waits for what must have happened before this flow completes
 * @param confirm confirms an item, and returns what is emitted
 */
@OptIn(ExperimentalForInheritanceCoroutinesApi::class)
internal class PulledFlow<Numbered : Any, Item : Any>(
    private val next: suspend () -> Numbered?,
    private val awaitEnd: suspend () -> Unit = {},
    private val confirm: (Numbered) -> Item,
) : Flow<Item> {
    private val pullLock = Mutex()

    override suspend fun collect(collector: FlowCollector<Item>) {
        while (true) {
            currentCoroutineContext().ensureActive()
            val item = pullLock.withLock { pull() } ?: return awaitEnd()
            collector.emit(item)
        }
    }

    private suspend fun pull(): Item? = next()?.let(confirm)
}
