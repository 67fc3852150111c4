package org.presence.client.android

import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFalse
import kotlin.test.assertTrue
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.coroutines.yield
import org.presence.client.AppVisibility
import org.presence.client.CancelToken
import org.presence.client.ConnectionState
import org.presence.client.DeviceChannel
import org.presence.client.EndReason
import org.presence.client.NoHandle
import org.presence.client.PresenceDevice

/** The reports of a phone that the test drives, to a device with a fake channel. */
class PlatformMonitorTest {
    @Test
    fun `another network is reported, and the one of the start is not`() = monitored(FakePhone()) { phone ->
        assertEquals(listOf("visible"), calls())
        phone.connectTo(FakePhone.MOBILE)
        phone.connectTo(FakePhone.WIFI)
        assertEquals(listOf("network", "network"), calls())
    }

    @Test
    fun `the end of being offline is reported, also on the same network`() = monitored(FakePhone(network = null)) { phone ->
        calls()
        phone.connectTo(FakePhone.WIFI)
        assertEquals(listOf("network"), calls())
        phone.disconnect()
        assertEquals(emptyList(), calls())
        phone.connectTo(FakePhone.WIFI)
        assertEquals(listOf("network"), calls())
    }

    @Test
    fun `a network that reaches the internet again is reported`() = monitored(FakePhone()) { phone ->
        calls()
        phone.reachInternet(true)
        phone.reachInternet(true)
        phone.reachInternet(false)
        assertEquals(emptyList(), calls())
        phone.reachInternet(true)
        assertEquals(listOf("network"), calls())
    }

    @Test
    fun `a lost address is reported, and one that is added is not`() = monitored(FakePhone()) { phone ->
        calls()
        phone.setAddresses("10.0.0.7/24")
        phone.setAddresses("10.0.0.7/24", "fe80::1/64")
        assertEquals(emptyList(), calls())
        phone.setAddresses("10.0.0.8/24", "fe80::1/64")
        assertEquals(listOf("network"), calls())
    }

    @Test
    fun `the addresses of two networks are not compared`() = monitored(FakePhone()) { phone ->
        phone.setAddresses("10.0.0.7/24")
        phone.connectTo(FakePhone.MOBILE)
        calls()
        phone.setAddresses("100.64.0.1/32")
        assertEquals(emptyList(), calls())
    }

    @Test
    fun `a network that the app may use again is reported`() = monitored(FakePhone(apiLevel = 29)) { phone ->
        calls()
        phone.block(false)
        phone.block(true)
        assertEquals(emptyList(), calls())
        phone.block(false)
        assertEquals(listOf("network"), calls())
    }

    @Test
    fun `the end of Doze is reported, and its beginning is not`() {
        for (apiLevel in listOf(24, 26, 33, 35)) {
            monitored(FakePhone(apiLevel)) { phone ->
                calls()
                phone.doze(true)
                assertEquals(emptyList(), calls())
                phone.doze(false)
                assertEquals(listOf("network"), calls())
            }
        }
    }

    @Test
    fun `the visibility of the app is reported, also of one that starts in the background`() {
        monitored(FakePhone(isVisible = false)) { phone ->
            assertEquals(listOf("hidden"), calls())
            phone.show(true)
            phone.show(false)
            assertEquals(listOf("visible", "hidden"), calls())
        }
    }

    @Test
    fun `nothing is reported after the end, and Android keeps nothing of the app`() = monitored(FakePhone()) { phone ->
        assertEquals(3, phone.registrations)
        monitor.close()
        monitor.close()
        phone.runMainThread()
        assertEquals(0, phone.registrations)
        calls()
        phone.connectTo(FakePhone.MOBILE)
        phone.doze(false)
        phone.show(false)
        assertEquals(emptyList(), calls())
    }

    @Test
    fun `a monitor ends with its device`() = monitored(FakePhone()) { phone ->
        channel.end.complete(Unit)
        withTimeout(30.seconds) {
            while (phone.registrations > 0) {
                phone.runMainThread()
                yield()
            }
        }
    }

    @Test
    fun `an app without the permission still reports its visibility and Doze`() {
        val phone = FakePhone().apply { refuseCallbacks(SecurityException("no ACCESS_NETWORK_STATE")) }
        monitored(phone) {
            assertFalse(monitor.reportsNetwork)
            assertEquals(listOf("visible"), calls())
            phone.doze(false)
            assertEquals(listOf("network"), calls())
        }
    }

    @Test
    fun `a monitor of a phone that reports the network says so`() = monitored(FakePhone()) {
        assertTrue(monitor.reportsNetwork)
    }

    /** Runs a test with a monitor, and closes it. */
    private fun monitored(phone: FakePhone, test: suspend Monitored.(FakePhone) -> Unit) = runBlocking(Dispatchers.Default) {
        val channel = RecordingChannel()
        val device = PresenceDevice(channel, null, this)
        device.state.first { it is ConnectionState.Connected }
        val monitor = PlatformMonitor.start(phone.activity, device)
        phone.runMainThread()
        Monitored(monitor, channel).test(phone)
        monitor.close()
        phone.runMainThread()
        assertEquals(0, phone.registrations)
        device.close()
    }

    private class Monitored(val monitor: PlatformMonitor, val channel: RecordingChannel) {
        /** Returns the calls since the last time. */
        fun calls(): List<String> = generateSequence(channel.calls::poll).toList()
    }
}

/** A channel that keeps what it is told. It is connected until a test ends it. */
private class RecordingChannel : DeviceChannel(NoHandle) {
    val calls = ConcurrentLinkedQueue<String>()
    val end = CompletableDeferred<Unit>()

    override fun state() = ConnectionState.Connected

    override suspend fun nextState(known: ConnectionState?, cancel: CancelToken?): ConnectionState? {
        if (known is ConnectionState.Ended) return null
        end.await()
        return ConnectionState.Ended(EndReason.Closed)
    }

    override fun networkChanged() {
        calls += "network"
    }

    override fun setAppVisibility(visibility: AppVisibility) {
        calls += if (visibility == AppVisibility.FOREGROUND) "visible" else "hidden"
    }

    override fun startShutdown() = Unit
}
