extension DeviceChannel {
    /// What happens on this channel: its states, notifications, and wishes for a credential.
    public var events: ChannelEvents<DeviceEvent> {
        ChannelEvents {
            guard
                let next = try await cancellable({ cancel in
                    try await self.nextEvent(after: 0, cancel: cancel)
                })
            else { return nil }
            self.eventTaken(number: next.number)
            return next.event
        }
    }

    /// This notification was taken: the server forgets it, and other devices of the user are not bothered with it any more.
    public func acknowledge(_ notification: LiveNotification) {
        // Its id is the server's own.
        try? acknowledge(id: notification.id)
    }

    /// Closes the channel, and waits until it is closed. The presence of this device ends at once. Cancelling the task ends the waiting, not
    /// the closing.
    public func close() async {
        end()
        try? await cancellable { try await self.shutdown(cancel: $0) }
    }
}

extension Credential {
    /// An identity assertion, for this server.
    public static func assertion(_ text: String) -> Credential {
        .assertion(assertion: Secret(text: text))
    }

    /// The bearer token of a session.
    public static func token(_ text: String) -> Credential {
        .token(token: Secret(text: text))
    }
}
