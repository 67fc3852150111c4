package org.presence.client.android

import android.content.BroadcastReceiver
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.Build
import android.os.PowerManager

/** Calls [woke] when the phone leaves Doze, in which Android lets no app use the network. */
internal class IdleMonitor(
    private val context: Context,
    private val woke: () -> Unit,
) : BroadcastReceiver() {
    /** Starts the calls. */
    fun register() {
        val changes = IntentFilter(PowerManager.ACTION_DEVICE_IDLE_MODE_CHANGED)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            context.registerReceiver(this, changes, Context.RECEIVER_NOT_EXPORTED)
        } else {
            context.registerReceiver(this, changes)
        }
    }

    /** Ends the calls. */
    fun unregister() = context.unregisterReceiver(this)

    override fun onReceive(context: Context, intent: Intent) {
        if (!context.getSystemService(PowerManager::class.java).isDeviceIdleMode) woke()
    }
}
