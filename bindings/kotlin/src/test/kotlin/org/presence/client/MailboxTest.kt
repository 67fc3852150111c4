package org.presence.client

import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeoutOrNull
import kotlinx.coroutines.yield

/** The queue between the channel and its reader. */
class MailboxTest {
    @Test
    fun `a full mailbox refuses instead of growing`() = runBlocking<Unit> {
        val mailbox = Mailbox<Int>(2)
        assertTrue(mailbox.offer(1) && mailbox.offer(2))
        assertFalse(mailbox.offer(3))
        assertEquals(listOf(1), mailbox.items.take(1).toList())
        assertTrue(mailbox.offer(4))
        mailbox.end()
        assertEquals(listOf(2, 4), mailbox.items.toList())
    }

    @Test
    fun `who puts waits for room, and is let in order`() = runBlocking<Unit> {
        val mailbox = Mailbox<Int>(1)
        val putting = launch(Dispatchers.Default) {
            repeat(1_000) { mailbox.put(it) }
            mailbox.end()
        }
        assertEquals((0 until 1_000).toList(), mailbox.items.toList())
        putting.join()
    }

    @Test
    fun `who waits for room or for an item lets others run meanwhile`() = runBlocking<Unit> {
        // All on one thread, which who does not really wait would keep for itself.
        val mailbox = Mailbox<Int>(1)
        val reading = async { mailbox.items.take(3).toList() }
        yield()
        repeat(3) {
            mailbox.put(it)
            yield()
        }
        assertEquals(listOf(0, 1, 2), reading.await())
        mailbox.put(3)
        val putting = launch { mailbox.put(4) }
        yield()
        assertEquals(listOf(3, 4), mailbox.items.take(2).toList())
        putting.join()
    }

    @Test
    fun `what replaces is alone`() = runBlocking<Unit> {
        val mailbox = Mailbox<Int>(1)
        repeat(5) { mailbox.replace(it) }
        mailbox.end()
        assertEquals(listOf(4), mailbox.items.toList())
    }

    @Test
    fun `a reader that is cancelled at any moment loses nothing`() = runBlocking<Unit>(Dispatchers.Default) {
        val mailbox = Mailbox<Int>(8)
        val total = 20_000
        val putting = launch { repeat(total) { mailbox.put(it) } }
        val read = async {
            val read = mutableListOf<Int>()
            while (read.size < total) {
                withTimeoutOrNull(1.milliseconds) { mailbox.items.collect { read += it } }
            }
            read
        }
        assertEquals((0 until total).toList(), read.await())
        putting.join()
    }
}
