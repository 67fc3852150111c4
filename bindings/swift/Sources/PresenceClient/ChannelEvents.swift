/// The events of a channel, until it has ended.
///
/// ```swift
/// for await event in channel.events { … }
/// ```
///
/// An event that no loop has asked for waits: one that is left, or whose task is cancelled, loses nothing, and the next loop goes on
/// where it stopped. Only the newest state of the connection waits. Let one loop run at a time, and do long work elsewhere, so that
/// states and wanted credentials are heard of soon.
///
/// The loop ends when the channel has ended, after the event that says why, and when its task is cancelled. It keeps the channel alive.
public struct ChannelEvents<Event: Sendable>: AsyncSequence, AsyncIteratorProtocol, Sendable {
    /// What the loop gets.
    public typealias Element = Event

    let pull: @Sendable () async throws -> Event?

    /// Itself: what was taken is known to the channel.
    public func makeAsyncIterator() -> ChannelEvents<Event> { self }

    /// The next event. `nil` once the channel has ended, and where the task is cancelled.
    public func next() async -> Event? {
        // All that can fail is the waiting.
        try? await pull()
    }
}
