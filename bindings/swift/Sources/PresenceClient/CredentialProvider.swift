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
    /// If `provider` throws, it is called again after a wait that grows with each failure, up to
    /// the `backoffCeiling` of `ChannelTiming`. `networkChanged` and an app that becomes visible
    /// shorten the wait. If it throws ``SignedOutError``, the state becomes `.signedOut`, and it is
    /// not called again until the channel has another request.
    ///
    /// A call is cancelled by a newer request of the channel, by `setCredential` and by the end of
    /// the channel. A call that does not heed its cancellation is left to itself: its result is
    /// ignored.
    ///
    /// Throws an error if another loop takes the credential requests of this channel.
    public func provideCredentials(
        from provider: @escaping @Sendable (CredentialReason) async throws -> Credential
    ) async throws {
        let requests = pulledRequests.makeAsyncIterator()
        while let request = try await requests.next() {
            let answer = Task { await self.answer(request, from: provider) }
            // Ends when the request was answered, has failed or was replaced.
            try? await cancellable {
                try await self.nextCredentialRequestEnd(number: request.number, cancel: $0)
            }
            answer.cancel()
        }
    }

    private func answer(
        _ request: NumberedCredentialRequest,
        from provider: @Sendable (CredentialReason) async throws -> Credential
    ) async {
        do {
            let credential = try await provider(request.reason)
            if !Task.isCancelled { setCredential(credential: credential) }
        } catch is SignedOutError {
            reportSignedOut(number: request.number)
        } catch {
            // A cancellation that is not this task's is a failure like others. The report of a
            // request that is over has no effect.
            reportCredentialFailure(number: request.number)
        }
    }
}
