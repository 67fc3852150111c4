package org.presence.client.android

import android.content.Context
import android.net.ConnectivityManager
import android.net.LinkAddress
import android.net.LinkProperties
import android.net.Network
import android.net.NetworkCapabilities

/**
 * Calls [changed] when a connection of the app may be lost, or an attempt may succeed now: after a
 * change of the default network, of its addresses, of its access to the internet, or of the right
 * of the app to use it.
 *
 * Android makes the calls one after the other, on a thread of its own.
 */
internal class NetworkMonitor(
    context: Context,
    private val changed: () -> Unit,
) : ConnectivityManager.NetworkCallback() {
    private val connectivity = context.getSystemService(ConnectivityManager::class.java)
    private var isRegistered = false

    /** The default network, or null if the phone is offline. */
    private var current: Network? = null

    // The last report about the default network, or null if there was none yet.
    private var hasInternet: Boolean? = null
    private var addresses: List<LinkAddress>? = null
    private var isBlocked: Boolean? = null

    /** Starts the calls. Returns false if Android refuses them. */
    fun register(): Boolean {
        try {
            // Android reports this network again at once. That is no change.
            current = connectivity.activeNetwork
            connectivity.registerDefaultNetworkCallback(this)
            isRegistered = true
        } catch (_: RuntimeException) {
            // SecurityException without the permission (some versions of Android 11 throw it by
            // mistake), or TooManyRequestsException.
        }
        return isRegistered
    }

    /** Ends the calls. */
    fun unregister() {
        if (isRegistered) connectivity.unregisterNetworkCallback(this)
        isRegistered = false
    }

    override fun onAvailable(network: Network) {
        if (network == current) return
        current = network
        hasInternet = null
        addresses = null
        isBlocked = null
        changed()
    }

    override fun onLost(network: Network) {
        if (network == current) current = null
    }

    override fun onCapabilitiesChanged(network: Network, networkCapabilities: NetworkCapabilities) {
        val had = hasInternet
        val has = networkCapabilities.hasCapability(NetworkCapabilities.NET_CAPABILITY_VALIDATED)
        hasInternet = has
        if (had == false && has) changed()
    }

    override fun onLinkPropertiesChanged(network: Network, linkProperties: LinkProperties) {
        val before = addresses
        val after = linkProperties.linkAddresses
        addresses = after
        // A new address beside the old ones breaks no connection.
        if (before != null && !after.containsAll(before)) changed()
    }

    /** Android calls this from API level 29 on. */
    override fun onBlockedStatusChanged(network: Network, blocked: Boolean) {
        val was = isBlocked
        isBlocked = blocked
        if (was == true && !blocked) changed()
    }
}
