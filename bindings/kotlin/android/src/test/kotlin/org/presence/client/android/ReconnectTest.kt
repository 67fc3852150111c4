package org.presence.client.android

import kotlin.test.Test
import org.presence.client.ChannelTiming
import org.presence.client.ConnectionState
import org.presence.client.PresenceDevice
import org.presence.client.TIMEOUT
import org.presence.client.await
import org.presence.client.connected
import org.presence.client.text
import org.presence.client.token
import org.presence.client.withTestServer

/** A device of a real server, with the generated code for Android. */
class ReconnectTest {
    @Test
    fun `a device that waits for minutes connects as soon as the phone is on another network`() =
        reconnects { phone, count -> phone.connectTo(FakePhone.MOBILE + count) }

    @Test
    fun `a device that waits for minutes connects as soon as the phone leaves Doze`() =
        reconnects { phone, _ -> phone.doze(false) }

    @Test
    fun `a device that waits for minutes connects as soon as the app is visible`() =
        reconnects { phone, _ -> phone.show(true) }

    private fun reconnects(change: (phone: FakePhone, count: Int) -> Unit) = withTestServer { server ->
        val timing = ChannelTiming(backoffFloor = 0.05, backoffCeiling = 3_600.0)
        val phone = FakePhone(isVisible = false)
        val session = server.command("sign_in", "name" to "alice").text("token")
        val options = server.device("alice", credential = token(session)).copy(timing = timing)
        PresenceDevice.open(this, options).use { device ->
            PlatformMonitor.start(phone.activity, device).use {
                phone.runMainThread()
                device.connected()
                server.kill()
                // Each change cuts a wait, and each attempt that fails doubles the next one.
                var count = 0
                device.state.await { state ->
                    val waits = state as? ConnectionState.Waiting
                    val isLong = waits != null && waits.retryInSeconds > 2 * TIMEOUT.inWholeSeconds
                    if (waits != null && !isLong) change(phone, count++)
                    isLong
                }
                server.restart()
                change(phone, count)
                device.connected()
            }
        }
        phone.runMainThread()
    }
}
