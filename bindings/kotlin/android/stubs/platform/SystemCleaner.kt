@file:Suppress("PackageDirectoryMismatch")

package android.system

import java.lang.ref.Cleaner

/** A stub of the class of the platform, to compile against. */
public object SystemCleaner {
    /** A stub of the member of the platform. */
    @JvmStatic
    public fun cleaner(): Cleaner = error("a stub to compile against")
}
