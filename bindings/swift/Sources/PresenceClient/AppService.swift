extension AppServiceChannel {
    /// What happens on this channel: its states, snapshots and updates of the users' presence, and receipts.
    public var events: ChannelEvents<AppServiceEvent> {
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

    /// Closes the channel, and waits until it is closed. Cancelling the task ends the waiting, not the closing.
    public func close() async {
        end()
        try? await cancellable { try await self.shutdown(cancel: $0) }
    }
}
