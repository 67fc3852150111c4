@file:Suppress("PackageDirectoryMismatch")

package android.os

/** In place of the platform's, only to compile against. */
public class Build {
    /** As the platform has it. */
    public object VERSION {
        /** Of the platform. */
        @JvmField
        public val SDK_INT: Int = 0
    }

    /** As the platform has it. */
    public object VERSION_CODES {
        /** Android 14. */
        public const val UPSIDE_DOWN_CAKE: Int = 34
        /** Android 13. */
        public const val TIRAMISU: Int = 33
    }
}
