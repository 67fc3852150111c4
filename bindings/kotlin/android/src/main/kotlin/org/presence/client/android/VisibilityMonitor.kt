package org.presence.client.android

import android.os.Handler
import android.os.Looper
import androidx.lifecycle.DefaultLifecycleObserver
import androidx.lifecycle.Lifecycle
import androidx.lifecycle.LifecycleOwner
import androidx.lifecycle.ProcessLifecycleOwner
import org.presence.client.AppVisibility

/**
 * Calls [report] with the current visibility of the app, and with each change. AndroidX counts the
 * activities of the process, and reports the background 700 ms after the last one has stopped, so a
 * rotation of the screen is no change.
 */
internal class VisibilityMonitor(
    private val report: (AppVisibility) -> Unit,
) : DefaultLifecycleObserver {
    // AndroidX accepts calls on the main thread only. All go through its queue, so their order is
    // kept, whichever thread they come from.
    private val mainThread = Handler(Looper.getMainLooper())

    /** Starts the calls. */
    fun register() {
        mainThread.post {
            val lifecycle = ProcessLifecycleOwner.get().lifecycle
            if (!lifecycle.currentState.isAtLeast(Lifecycle.State.STARTED)) report(AppVisibility.BACKGROUND)
            // Reports the foreground at once if the app is visible.
            lifecycle.addObserver(this)
        }
    }

    /** Ends the calls. */
    fun unregister() {
        mainThread.post { ProcessLifecycleOwner.get().lifecycle.removeObserver(this) }
    }

    override fun onStart(owner: LifecycleOwner) = report(AppVisibility.FOREGROUND)

    override fun onStop(owner: LifecycleOwner) = report(AppVisibility.BACKGROUND)
}
