/// Thrown by a credential provider if the user has to sign in first.
public struct SignedOutError: Error {
    public init() {}
}

extension DeviceChannel {
    /// Calls `provider` whenever this channel needs a credential, until the channel has ended or
    /// the task is cancelled.
    ///
    /// ```swift
    /// async let credentials: Void = channel.provideCredentials { _ in
    ///     .assertion(try await freshAssertion())
    /// }
    /// ```
    ///
    /// If `provider` throws, it is called again after a wait that grows with each failure. If it
    /// throws ``SignedOutError``, it is not called again until the channel has another request. A
    /// newer request of the channel cancels the call for an older one.
    ///
    /// Throws an error if another loop takes the credential requests of this channel.
    public func provideCredentials(
        from provider: @escaping @Sendable (CredentialReason) async throws -> Credential
    ) async throws {
        var answer: Task<Void, Never>?
        defer { answer?.cancel() }
        for try await reason in credentialRequests {
            answer?.cancel()
            answer = Task { await self.answerRequest(for: reason, from: provider) }
        }
    }

    private func answerRequest(
        for reason: CredentialReason,
        from provider: @Sendable (CredentialReason) async throws -> Credential
    ) async {
        var wait = Self.firstWait
        while !Task.isCancelled {
            do {
                let credential = try await provider(reason)
                if !Task.isCancelled { setCredential(credential: credential) }
                return
            } catch is SignedOutError {
                return
            } catch {
                // A cancellation that is not this task's is a failure like others.
                try? await Task.sleep(nanoseconds: UInt64(Double.random(in: 0...wait) * 1e9))
                wait = min(2 * wait, Self.longestWait)
            }
        }
    }

    /// The longest wait after the first failure of a provider, in seconds.
    private static var firstWait: Double { 2 }
    /// The longest wait after any failure of a provider, in seconds.
    private static var longestWait: Double { 60 }
}
