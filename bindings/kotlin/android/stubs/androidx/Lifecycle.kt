@file:Suppress("PackageDirectoryMismatch")

package androidx.lifecycle

// Stubs of the classes of AndroidX, to compile against.

public abstract class Lifecycle {
    public abstract val currentState: State

    public abstract fun addObserver(observer: LifecycleObserver)

    public abstract fun removeObserver(observer: LifecycleObserver)

    public enum class State {
        DESTROYED, INITIALIZED, CREATED, STARTED, RESUMED;

        public fun isAtLeast(state: State): Boolean = this >= state
    }
}

public interface LifecycleObserver

public interface DefaultLifecycleObserver : LifecycleObserver {
    public fun onStart(owner: LifecycleOwner): Unit = Unit

    public fun onStop(owner: LifecycleOwner): Unit = Unit
}

public interface LifecycleOwner {
    public val lifecycle: Lifecycle
}

public object ProcessLifecycleOwner {
    private var process: LifecycleOwner? = null

    @JvmStatic
    public fun get(): LifecycleOwner = checkNotNull(process) { "a test sets the lifecycle of the process" }

    /** Sets the lifecycle of the process, for a test. */
    public fun set(owner: LifecycleOwner) {
        process = owner
    }
}
