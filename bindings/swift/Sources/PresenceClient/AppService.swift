extension AppServiceChannel {
    /// The connection states, beginning with the current one. They are up to date whether or not a
    /// loop reads the events.
    public var states: ConnectionStates {
        ConnectionStates { known in
            try await cancellable { try await self.nextState(known: known, cancel: $0) }
        }
    }

    /// The events: states, snapshots and updates of the presence of the users, and receipts, in
    /// order.
    public var events: ChannelSequence<AppServiceEvent> {
        ChannelSequence(elements: ChannelElements(of: self, kind: "events")) {
            let next = try await cancellable { try await self.nextEvent(cancel: $0) }
            guard let next else { return nil }
            self.confirmEvent(number: next.number)
            return next.event
        }
    }

    /// Closes the channel, and waits until it is closed. If the task is cancelled, the channel is
    /// closed all the same.
    public func close() async {
        startShutdown()
        try? await cancellable { try await self.shutdown(cancel: $0) }
    }
}
