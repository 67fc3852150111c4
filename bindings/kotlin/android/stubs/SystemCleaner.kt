@file:Suppress("PackageDirectoryMismatch")

package android.system

import java.lang.ref.Cleaner

/** In place of the platform's, only to compile against. */
public object SystemCleaner {
    /** As the platform has it. */
    @JvmStatic
    public fun cleaner(): Cleaner = error("only to compile against")
}
