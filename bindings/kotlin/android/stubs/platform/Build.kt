@file:Suppress("PackageDirectoryMismatch")

package android.os

/** A stub of the class of the platform, to compile against. */
public class Build {
    /** A stub of the member of the platform. */
    public object VERSION {
        /** The API level of the phone, which tests set. */
        @JvmField
        public var SDK_INT: Int = 0
    }

    /** A stub of the member of the platform. */
    public object VERSION_CODES {
        /** The API level of Android 14. */
        public const val UPSIDE_DOWN_CAKE: Int = 34
        /** The API level of Android 13. */
        public const val TIRAMISU: Int = 33
    }
}
