package org.presence.client.android

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.net.ConnectivityManager
import android.net.ConnectivityManager.NetworkCallback
import android.net.LinkAddress
import android.net.LinkProperties
import android.net.Network
import android.net.NetworkCapabilities
import android.os.Build
import android.os.Looper
import android.os.PowerManager
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.Lifecycle
import androidx.lifecycle.LifecycleObserver
import androidx.lifecycle.LifecycleOwner
import androidx.lifecycle.ProcessLifecycleOwner

/**
 * An Android phone with one app, which a test drives. It behaves as the documentation of the
 * platform says: a callback learns the default network when it is registered, and an observer of a
 * lifecycle is brought up to the current state.
 */
class FakePhone(apiLevel: Int = 24, network: Int? = WIFI, isVisible: Boolean = true) {
    private val connectivity = FakeConnectivity(network?.let(::Network))
    private val power = FakePower()
    private val process = FakeProcess(isVisible)
    private val receivers = mutableMapOf<BroadcastReceiver, IntentFilter>()

    /** A context that must not be kept. */
    val activity: Context = FakeActivity(FakeApplication())

    init {
        Build.VERSION.SDK_INT = apiLevel
        ProcessLifecycleOwner.set(process)
        runMainThread()
    }

    /** The number of objects of the app that Android keeps. */
    val registrations: Int
        get() = receivers.size + connectivity.callbacks.size + process.observers.size

    /** Makes Android refuse to report the network. */
    fun refuseCallbacks(reason: RuntimeException) {
        connectivity.refusal = reason
    }

    fun runMainThread() = Looper.getMainLooper().runPosted()

    /** Brings the app to the screen, or takes it from there. */
    fun show(visible: Boolean) = process.show(visible)

    /** Makes another network the default one. */
    fun connectTo(network: Int) {
        connectivity.activeNetwork = Network(network)
        connectivity.report { it.onAvailable(Network(network)) }
    }

    fun disconnect() {
        val lost = checkNotNull(connectivity.activeNetwork)
        connectivity.activeNetwork = null
        connectivity.report { it.onLost(lost) }
    }

    /** Reports whether the network was found to reach the internet. */
    fun reachInternet(reaches: Boolean) {
        val validated = NetworkCapabilities.NET_CAPABILITY_VALIDATED
        val capabilities = if (reaches) NetworkCapabilities(validated) else NetworkCapabilities()
        connectivity.reportDefault { network -> onCapabilitiesChanged(network, capabilities) }
    }

    fun setAddresses(vararg addresses: String) {
        val properties = LinkProperties(addresses.map(::LinkAddress))
        connectivity.reportDefault { network -> onLinkPropertiesChanged(network, properties) }
    }

    /** Forbids the app to use the network, or allows it again. */
    fun block(isBlocked: Boolean) =
        connectivity.reportDefault { network -> onBlockedStatusChanged(network, isBlocked) }

    /** Begins or ends Doze. */
    fun doze(isIdle: Boolean) {
        power.isDeviceIdleMode = isIdle
        val change = Intent(PowerManager.ACTION_DEVICE_IDLE_MODE_CHANGED)
        receivers.filterValues { it.action == change.action }.keys.forEach { it.onReceive(activity.applicationContext, change) }
    }

    private inner class FakeApplication : Context() {
        override val applicationContext: Context
            get() = this

        override fun <Service : Any> getSystemService(serviceClass: Class<Service>): Service =
            serviceClass.cast(if (serviceClass == PowerManager::class.java) power else connectivity)

        override fun registerReceiver(receiver: BroadcastReceiver, filter: IntentFilter): Intent? {
            check(Build.VERSION.SDK_INT < 33) { "Android 13 wants to know who may send" }
            receivers[receiver] = filter
            return null
        }

        override fun registerReceiver(receiver: BroadcastReceiver, filter: IntentFilter, flags: Int): Intent? {
            check(Build.VERSION.SDK_INT >= 26) { "there is no such method" }
            check(flags == RECEIVER_NOT_EXPORTED)
            receivers[receiver] = filter
            return null
        }

        override fun unregisterReceiver(receiver: BroadcastReceiver) =
            require(receivers.remove(receiver) != null) { "not registered" }
    }

    companion object {
        const val WIFI = 100
        const val MOBILE = 101
    }
}

private class FakeActivity(override val applicationContext: Context) : Context() {
    override fun <Service : Any> getSystemService(serviceClass: Class<Service>): Service = misused()

    override fun registerReceiver(receiver: BroadcastReceiver, filter: IntentFilter): Intent? = misused()

    override fun registerReceiver(receiver: BroadcastReceiver, filter: IntentFilter, flags: Int): Intent? = misused()

    override fun unregisterReceiver(receiver: BroadcastReceiver): Unit = misused()

    private fun misused(): Nothing = error("the context of an activity is used, not that of the application")
}

private class FakeConnectivity(override var activeNetwork: Network?) : ConnectivityManager() {
    val callbacks = LinkedHashSet<NetworkCallback>()
    var refusal: RuntimeException? = null

    override fun registerDefaultNetworkCallback(networkCallback: NetworkCallback) {
        refusal?.let { throw it }
        callbacks += networkCallback
        activeNetwork?.let(networkCallback::onAvailable)
    }

    override fun unregisterNetworkCallback(networkCallback: NetworkCallback) =
        require(callbacks.remove(networkCallback)) { "not registered" }

    fun report(call: (NetworkCallback) -> Unit) = callbacks.forEach(call)

    fun reportDefault(call: NetworkCallback.(Network) -> Unit) {
        val network = checkNotNull(activeNetwork)
        report { it.call(network) }
    }
}

private class FakePower : PowerManager() {
    override var isDeviceIdleMode = false
}

private class FakeProcess(isVisible: Boolean) : Lifecycle(), LifecycleOwner {
    val observers = LinkedHashSet<DefaultLifecycleObserver>()

    override val lifecycle = this
    override var currentState = if (isVisible) State.RESUMED else State.CREATED

    override fun addObserver(observer: LifecycleObserver) {
        observers += observer as DefaultLifecycleObserver
        if (currentState.isAtLeast(State.STARTED)) observer.onStart(this)
    }

    override fun removeObserver(observer: LifecycleObserver) {
        observers -= observer as DefaultLifecycleObserver
    }

    fun show(visible: Boolean) {
        currentState = if (visible) State.RESUMED else State.CREATED
        observers.forEach { if (visible) it.onStart(this) else it.onStop(this) }
    }
}
