package org.presence.client.android

import android.content.Context
import java.util.concurrent.atomic.AtomicBoolean
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.launch
import org.presence.client.ConnectionState
import org.presence.client.PresenceDevice

/**
 * Reports to a device what only Android knows:
 *
 * - The app becomes visible, or leaves the screen.
 * - The phone is on another network, online again, or has lost an address.
 * - Android lets the app use the network again, after Doze or a data limit.
 *
 * The device then checks its connection at once, or starts its next attempt at once, and sends
 * fewer pings while the app is not visible.
 *
 * ```
 * val device = PresenceDevice.open(scope, options, provider)
 * val monitor = PlatformMonitor.start(context, device)
 * ```
 *
 * It runs until it is closed or the device has ended. Until then Android keeps it and the device in
 * memory. It keeps the context of the application, not the given one. It needs the permission
 * `ACCESS_NETWORK_STATE`, which the manifest of this library has, and Android 7.0 (API level 24).
 */
public class PlatformMonitor private constructor(
    context: Context,
    private val device: PresenceDevice,
) : AutoCloseable {
    private val network = NetworkMonitor(context, device::networkChanged)
    private val idle = IdleMonitor(context, device::networkChanged)
    private val visibility = VisibilityMonitor(device::setAppVisibility)
    private val isClosed = AtomicBoolean()
    private var untilEnd: Job? = null

    /**
     * Is false if Android refused to report the network, because the permission is missing or the
     * app has too many callbacks. The visibility of the app and the end of Doze are reported all
     * the same.
     */
    public val reportsNetwork: Boolean

    init {
        reportsNetwork = network.register()
        idle.register()
        visibility.register()
    }

    private fun closeAtEnd() {
        untilEnd = CoroutineScope(Dispatchers.Default).launch {
            device.state.first { it is ConnectionState.Ended }
            close()
        }
    }

    /** Stops the reports. It can be called on any thread, and more than once. */
    override fun close() {
        if (!isClosed.compareAndSet(false, true)) return
        untilEnd?.cancel()
        network.unregister()
        idle.unregister()
        visibility.unregister()
    }

    public companion object {
        /** Starts the reports to [device]. It can be called on any thread. */
        public fun start(context: Context, device: PresenceDevice): PlatformMonitor =
            PlatformMonitor(context.applicationContext, device).apply { closeAtEnd() }
    }
}
