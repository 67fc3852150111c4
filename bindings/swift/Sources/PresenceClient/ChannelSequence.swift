/// The notifications, credential requests or events of a channel, until the channel has ended.
///
/// ```swift
/// for try await notification in channel.notifications { … }
/// ```
///
/// An element is pulled from the channel when a loop asks for it. A loop that ends, or whose task
/// is cancelled, loses nothing: the next loop continues with the next element.
///
/// One loop can run at a time. A second loop over the same elements of the channel throws
/// ``PresenceError/InvalidArgument(reason:)`` while the first one runs.
///
/// The loop ends when the channel has ended, after the last element, and when its task is
/// cancelled. It keeps the channel alive.
public struct ChannelSequence<Element: Sendable>: AsyncSequence, Sendable {
    let elements: ChannelElements
    let pull: @Sendable () async throws -> Element?

    /// Returns an iterator that begins with the first element that no loop has taken.
    public func makeAsyncIterator() -> Iterator { Iterator(over: self) }

    /// The elements that no loop has taken. While it exists, no other loop can take them.
    public final class Iterator: AsyncIteratorProtocol {
        private let sequence: ChannelSequence
        private let claim = LoopClaim()

        init(over sequence: ChannelSequence) {
            self.sequence = sequence
            claim.acquire(sequence.elements)
        }

        /// Waits for the next element. Returns `nil` if the channel has ended or the task is
        /// cancelled. Throws an error if another loop takes the same elements.
        public func next() async throws -> Element? {
            guard claim.acquire(sequence.elements) else {
                throw PresenceError.InvalidArgument(
                    reason: "another loop already takes the \(sequence.elements.kind) of this channel")
            }
            do {
                return try await sequence.pull()
            } catch is CancellationError {
                return nil
            }
        }
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
