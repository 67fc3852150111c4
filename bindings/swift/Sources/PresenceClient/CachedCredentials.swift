import Foundation

/// A credential and the time from which it is not valid, `nil` if that is not known.
public struct ExpiringCredential: Sendable {
    /// The credential.
    public let credential: Credential
    /// The end of the credential, or `nil` if it is not known.
    public let expiresAt: Date?

    /// Creates a credential with its end.
    public init(_ credential: Credential, expiresAt: Date? = nil) {
        self.credential = credential
        self.expiresAt = expiresAt
    }
}

/// Thrown by ``CachedCredentials`` if another caller that fetched a credential has failed.
public struct CredentialUnavailableError: Error {
    /// The reason, as that caller gave it.
    public let reason: String
}

/// A cache of one user's credential, which several channels and REST calls share.
///
/// ```swift
/// let credentials = try CachedCredentials {
///     let session = try await api.signIn(
///         assertion: try await assertion(), scope: .device, label: nil)
///     let expiresAt = Date(timeIntervalSince1970: Double(session.expiresAtMs) / 1000)
///     return ExpiringCredential(.token(token: session.token), expiresAt: expiresAt)
/// }
/// async let provided: Void = channel.provideCredentials(from: credentials.provider())
/// ```
///
/// It gives the same credential again until shortly before its end. Of several callers that need a
/// fresh one, one fetches it and the others wait. A credential that the server has refused is not
/// given again.
///
/// The cache suits session tokens. An identity assertion is accepted again only for the same
/// device, so several channels cannot share one.
public final class CachedCredentials: Sendable {
    private let cache: CredentialCache
    private let fetch: @Sendable () async throws -> ExpiringCredential

    /// Creates an empty cache. `margin` is the time before its end, in seconds, at which a
    /// credential is not given any more. `fetch` fetches a fresh credential, and throws
    /// ``SignedOutError`` if the user has to sign in first.
    ///
    /// Throws ``PresenceError/InvalidArgument(reason:)`` if the time is not valid.
    public init(
        margin: Double = 30, fetch: @escaping @Sendable () async throws -> ExpiringCredential
    ) throws {
        cache = try CredentialCache(marginSeconds: margin)
        self.fetch = fetch
    }

    /// Returns the credential, for a REST call for example. If the server refuses it, call
    /// ``invalidate(_:)`` and this function again.
    public func credential() async throws -> Credential {
        try await newer(than: 0).credential
    }

    /// Returns a provider for one channel. Each channel needs one of its own, which knows the
    /// credential that the channel got last.
    public func provider() -> @Sendable (CredentialReason) async throws -> Credential {
        let lastGiven = LastGiven()
        return { reason in
            let after = try self.cache.lookupAfter(reason: reason, lastGiven: await lastGiven.number)
            let cached = try await self.newer(than: after)
            await lastGiven.set(cached.number)
            return cached.credential
        }
    }

    /// Forgets a credential that the server has refused. A fresh one is kept.
    public func invalidate(_ refused: Credential) { cache.invalidate(refused: refused) }

    /// Forgets everything, for example because the user has signed out.
    public func clear() { cache.clear() }

    private func newer(than number: UInt64) async throws -> CachedCredential {
        let lookup = try await cancellable { try await self.cache.nextLookup(after: number, cancel: $0) }
        switch lookup {
        case .found(let cached): return cached
        case .missing(let task): return try await fetch(for: task)
        case .failed(let signedOut, let reason):
            if signedOut { throw SignedOutError() }
            throw CredentialUnavailableError(reason: reason)
        }
    }

    /// Calls the function of the app. If this task is cancelled, another caller fetches a
    /// credential.
    private func fetch(for task: CredentialFetch) async throws -> CachedCredential {
        do {
            let fresh = try await fetch()
            let expiresAt = fresh.expiresAt.map { Int64($0.timeIntervalSince1970 * 1000) }
            return try task.complete(credential: fresh.credential, expiresAtMs: expiresAt)
        } catch is SignedOutError {
            task.failSignedOut()
            throw SignedOutError()
        } catch {
            if Task.isCancelled { task.abandon() } else { task.fail(reason: "\(error)") }
            throw error
        }
    }
}

/// The number of the credential that a channel got last.
private actor LastGiven {
    private(set) var number: UInt64 = 0

    func set(_ number: UInt64) { self.number = number }
}
