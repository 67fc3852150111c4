@file:Suppress("PackageDirectoryMismatch")

package androidx.annotation

/** In place of AndroidX's, only to compile against. */
public annotation class RequiresApi(val api: Int)
