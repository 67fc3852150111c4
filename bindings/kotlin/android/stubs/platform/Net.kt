@file:Suppress("PackageDirectoryMismatch")

package android.net

// Stubs of the classes of the platform, to compile against. Tests extend those that are open.

public abstract class ConnectivityManager {
    public abstract val activeNetwork: Network?

    public abstract fun registerDefaultNetworkCallback(networkCallback: NetworkCallback)

    public abstract fun unregisterNetworkCallback(networkCallback: NetworkCallback)

    public open class NetworkCallback {
        public open fun onAvailable(network: Network): Unit = Unit

        public open fun onLost(network: Network): Unit = Unit

        public open fun onCapabilitiesChanged(network: Network, networkCapabilities: NetworkCapabilities): Unit = Unit

        public open fun onLinkPropertiesChanged(network: Network, linkProperties: LinkProperties): Unit = Unit

        public open fun onBlockedStatusChanged(network: Network, blocked: Boolean): Unit = Unit
    }
}

public data class Network(private val id: Int)

public data class LinkAddress(private val address: String)

public class LinkProperties(public val linkAddresses: List<LinkAddress>)

public class NetworkCapabilities(private vararg val capabilities: Int) {
    public fun hasCapability(capability: Int): Boolean = capability in capabilities

    public companion object {
        public const val NET_CAPABILITY_VALIDATED: Int = 16
    }
}
