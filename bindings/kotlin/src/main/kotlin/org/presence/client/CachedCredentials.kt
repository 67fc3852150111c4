package org.presence.client

import java.time.Instant
import java.util.concurrent.atomic.AtomicLong
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.currentCoroutineContext
import kotlinx.coroutines.isActive

/** A credential and its end. */
public data class ExpiringCredential(
    /** The credential. */
    val credential: Credential,
    /** The time from which the credential is not valid, null if that is not known. */
    val expiresAt: Instant? = null,
)

/** Thrown by [CachedCredentials] if another caller that fetched a credential has failed. */
public class CredentialUnavailableException(message: String) : Exception(message)

/**
 * A cache of one user's credential, which several devices and REST calls share.
 *
 * ```
 * val credentials = CachedCredentials {
 *     val session = api.signIn(assertion(), SessionScope.DEVICE, null)
 *     val expiresAt = Instant.ofEpochMilli(session.expiresAtMs)
 *     ExpiringCredential(Credential.Token(session.token), expiresAt)
 * }
 * val device = PresenceDevice.open(scope, options, credentials.provider())
 * ```
 *
 * It gives the same credential again until shortly before its end. Of several callers that need a
 * fresh one, one fetches it and the others wait. A credential that the server has refused is not
 * given again.
 *
 * The cache suits session tokens. An identity assertion is accepted again only for the same device,
 * so several devices cannot share one.
 *
 * @param margin the time before its end at which a credential is not given any more
 * @param fetch fetches a fresh credential. It throws [SignedOutException] if the user has to sign
 * in first
 */
public class CachedCredentials(
    margin: Duration = 30.seconds,
    private val fetch: suspend () -> ExpiringCredential,
) : AutoCloseable {
    private val cache = CredentialCache(margin.inWholeMilliseconds / 1000.0)

    /**
     * Returns the credential, for a REST call for example. If the server refuses it, call
     * [invalidate] and this function again.
     *
     * @throws SignedOutException if the user has to sign in first
     * @throws CredentialUnavailableException if another caller that fetched one has failed
     */
    public suspend fun credential(): Credential = newerThan(0u).credential

    /**
     * Returns a provider for one device. Each device needs one of its own, which knows the
     * credential that the device got last.
     */
    public fun provider(): CredentialProvider {
        val lastGiven = AtomicLong(0)
        return CredentialProvider { reason ->
            val cached = newerThan(cache.lookupAfter(reason, lastGiven.get().toULong()))
            lastGiven.set(cached.number.toLong())
            cached.credential
        }
    }

    /** Forgets a credential that the server has refused. A fresh one is kept. */
    public fun invalidate(refused: Credential): Unit = cache.invalidate(refused)

    /** Forgets everything, for example because the user has signed out. */
    public fun clear(): Unit = cache.clear()

    /** Frees the cache. */
    override fun close(): Unit = cache.close()

    private suspend fun newerThan(number: ULong): CachedCredential =
        when (val lookup = cache.nextLookup(number)) {
            is CredentialLookup.Found -> lookup.cached
            is CredentialLookup.Missing -> lookup.fetch.use { fetchFor(it) }
            is CredentialLookup.Failed ->
                throw if (lookup.signedOut) SignedOutException() else CredentialUnavailableException(lookup.reason)
        }

    /** Calls the function of the app. If this is cancelled, another caller fetches one. */
    private suspend fun fetchFor(task: CredentialFetch): CachedCredential =
        try {
            val fresh = fetch()
            task.complete(fresh.credential, fresh.expiresAt?.toEpochMilli())
        } catch (signedOut: SignedOutException) {
            task.failSignedOut()
            throw signedOut
        } catch (failed: Exception) {
            // A cancellation that is not this coroutine's is a failure like others.
            if (currentCoroutineContext().isActive) task.fail(failed.toString()) else task.abandon()
            throw failed
        }
}
