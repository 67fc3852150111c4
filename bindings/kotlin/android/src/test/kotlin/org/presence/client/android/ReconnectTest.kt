package org.presence.client.android

import kotlin.test.Test
import org.presence.client.ChannelTiming
import org.presence.client.ConnectionState
import org.presence.client.PresenceDevice
import org.presence.client.await
import org.presence.client.connected
import org.presence.client.withTestServer

/** A device of a real server, with the generated code for Android. */
class ReconnectTest {
    @Test
    fun `a device that waits for an hour connects as soon as the phone is online`() = reconnects { it.connectTo(FakePhone.MOBILE) }

    @Test
    fun `a device that waits for an hour connects as soon as the phone leaves Doze`() = reconnects { it.doze(false) }

    @Test
    fun `a device that waits for an hour connects as soon as the app is visible`() = reconnects { it.show(true) }

    private fun reconnects(change: (FakePhone) -> Unit) = withTestServer { server ->
        val hours = ChannelTiming(backoffFloor = 3_600.0, backoffCeiling = 36_000.0)
        val phone = FakePhone(isVisible = false)
        val options = server.device("alice", credential = null).copy(timing = hours)
        PresenceDevice.open(this, options, { server.credential("alice") }).use { device ->
            PlatformMonitor.start(phone.activity, device).use {
                phone.runMainThread()
                device.connected()
                server.kill()
                device.state.await { it is ConnectionState.Waiting }
                server.restart()
                change(phone)
                device.connected()
            }
        }
        phone.runMainThread()
    }
}
