/// The notifications, credential requests or events of a channel, until the channel has ended.
///
/// ```swift
/// for await notification in channel.notifications { … }
/// ```
///
/// An element is pulled from the channel when a loop asks for it. A loop that ends, or whose task
/// is cancelled, loses nothing: the next loop continues with the next element. Run one loop at a
/// time.
///
/// The loop ends when the channel has ended, after the last element, and when its task is
/// cancelled. It keeps the channel alive.
public struct ChannelSequence<Element: Sendable>: AsyncSequence, AsyncIteratorProtocol, Sendable {
    let pull: @Sendable () async throws -> Element?

    /// Returns the sequence itself, because the channel knows which elements were pulled.
    public func makeAsyncIterator() -> ChannelSequence<Element> { self }

    /// Waits for the next element. Returns `nil` if the channel has ended or the task is cancelled.
    public func next() async -> Element? {
        // Only a cancelled task makes the call fail.
        try? await pull()
    }
}

/// The connection states of a channel, beginning with the current one, until the channel has ended.
///
/// ```swift
/// for await state in channel.states { … }
/// ```
///
/// A slow loop skips states and gets the newest. Any number of loops can run at a time.
///
/// The loop ends after the state `.ended`, and when its task is cancelled. It keeps the channel
/// alive.
public struct ConnectionStates: AsyncSequence, Sendable {
    let next: @Sendable (_ known: ConnectionState?) async throws -> ConnectionState?

    /// Returns an iterator that begins with the current state.
    public func makeAsyncIterator() -> Iterator { Iterator(pull: next) }

    /// The states that follow the last one that was returned.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        let pull: @Sendable (_ known: ConnectionState?) async throws -> ConnectionState?
        private var known: ConnectionState?

        init(pull: @escaping @Sendable (_ known: ConnectionState?) async throws -> ConnectionState?) {
            self.pull = pull
        }

        /// Waits until the state differs from the last one. Returns `nil` if the channel has ended
        /// or the task is cancelled.
        public mutating func next() async -> ConnectionState? {
            // Only a cancelled task makes the call fail.
            guard let state = try? await pull(known) else { return nil }
            known = state
            return state
        }
    }
}
