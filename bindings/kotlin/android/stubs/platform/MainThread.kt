@file:Suppress("PackageDirectoryMismatch")

package android.os

import java.util.concurrent.ConcurrentLinkedQueue

// Stubs of the classes of the platform, to compile against.

/** The queue of the main thread, which tests run. */
public class Looper private constructor() {
    internal val posted = ConcurrentLinkedQueue<Runnable>()

    /** Runs what was posted. */
    public fun runPosted() {
        while (true) (posted.poll() ?: return).run()
    }

    public companion object {
        private val main = Looper()

        @JvmStatic
        public fun getMainLooper(): Looper = main
    }
}

public class Handler(private val looper: Looper) {
    public fun post(runnable: Runnable): Boolean = looper.posted.add(runnable)
}

public abstract class PowerManager {
    public abstract val isDeviceIdleMode: Boolean

    public companion object {
        public const val ACTION_DEVICE_IDLE_MODE_CHANGED: String = "android.os.action.DEVICE_IDLE_MODE_CHANGED"
    }
}
