extension DeviceChannel {
    /// The connection states, beginning with the current one.
    public var states: ConnectionStates {
        ConnectionStates { known in
            try await cancellable { try await self.nextState(known: known, cancel: $0) }
        }
    }

    /// The notifications. Until a loop asks for a notification, it waits in the SDK, or on the
    /// server if many wait.
    public var notifications: ChannelSequence<LiveNotification> {
        ChannelSequence(elements: ChannelElements(of: self, kind: "notifications")) {
            let next = try await cancellable { try await self.nextNotification(cancel: $0) }
            guard let next else { return nil }
            self.confirmNotification(number: next.number)
            return next.notification
        }
    }

    /// The requests for a credential. Answer each with `setCredential(credential:)`. Only the
    /// newest request waits for a loop.
    public var credentialRequests: ChannelSequence<CredentialReason> {
        let requests = pulledRequests
        return ChannelSequence(elements: requests.elements) { try await requests.pull()?.reason }
    }

    /// The requests for a credential, with their numbers.
    var pulledRequests: ChannelSequence<NumberedCredentialRequest> {
        ChannelSequence(elements: ChannelElements(of: self, kind: "credential requests")) {
            let next = try await cancellable { try await self.nextCredentialRequest(cancel: $0) }
            guard let next else { return nil }
            self.confirmCredentialRequest(number: next.number)
            return next
        }
    }

    /// Acknowledges a notification to the server, which then deletes it and removes it from the
    /// other devices of the user.
    public func acknowledge(_ notification: LiveNotification) {
        // The id of a received notification is valid.
        try? acknowledge(id: notification.id)
    }

    /// Records that the user has seen a notification that the app does not acknowledge yet, for
    /// example because it stays in the notification area. With a `storageFile` in the options it is
    /// not delivered again after a restart of the app. The last 1,000 are kept.
    public func markShown(_ notification: LiveNotification) {
        // The id of a received notification is valid.
        try? markShown(id: notification.id)
    }

    /// Closes the channel, and waits until it is closed. The presence of this device ends at once.
    /// If the task is cancelled, the channel is closed all the same.
    public func close() async {
        startShutdown()
        try? await cancellable { try await self.shutdown(cancel: $0) }
    }
}

extension Credential {
    /// Creates a credential from an identity assertion for this server.
    public static func assertion(_ text: String) -> Credential {
        .assertion(assertion: Secret(text: text))
    }

    /// Creates a credential from the bearer token of a session.
    public static func token(_ text: String) -> Credential {
        .token(token: Secret(text: text))
    }
}
