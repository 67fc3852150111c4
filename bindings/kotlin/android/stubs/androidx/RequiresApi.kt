@file:Suppress("PackageDirectoryMismatch")

package androidx.annotation

/** A stub of the class of AndroidX, to compile against. */
public annotation class RequiresApi(val api: Int)
