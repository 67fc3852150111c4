@file:Suppress("PackageDirectoryMismatch")

package android.content

// Stubs of the classes of the platform, to compile against. Tests extend those that are open.

public abstract class Context {
    public abstract val applicationContext: Context

    public abstract fun <Service : Any> getSystemService(serviceClass: Class<Service>): Service

    public abstract fun registerReceiver(receiver: BroadcastReceiver, filter: IntentFilter): Intent?

    public abstract fun registerReceiver(receiver: BroadcastReceiver, filter: IntentFilter, flags: Int): Intent?

    public abstract fun unregisterReceiver(receiver: BroadcastReceiver)

    public companion object {
        public const val RECEIVER_NOT_EXPORTED: Int = 4
    }
}

public abstract class BroadcastReceiver {
    public abstract fun onReceive(context: Context, intent: Intent)
}

public class Intent(public val action: String)

public class IntentFilter(public val action: String)
