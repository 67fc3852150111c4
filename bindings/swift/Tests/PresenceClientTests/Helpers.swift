import Foundation
import PresenceClient
import Testing

/// All tests, run one after the other: each has its own server, and one counts the objects that are
/// alive in the process.
@Suite(.serialized) enum AllTests {}

/// A step exceeded its time limit.
struct TimeLimitExceeded: Error {}

/// The sequence ended before the expected element.
struct SequenceEnded: Error {}

/// Runs work with a time limit, also if the work cannot be cancelled.
func within<Value: Sendable>(
    _ seconds: Double = 30, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let (values, continuation) = AsyncThrowingStream<Value, any Error>.makeStream()
    let workTask = Task {
        do {
            continuation.yield(try await work())
        } catch {
            continuation.finish(throwing: error)
        }
    }
    let timer = Task {
        try await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
        continuation.finish(throwing: TimeLimitExceeded())
    }
    defer {
        workTask.cancel()
        timer.cancel()
    }
    for try await value in values { return value }
    throw TimeLimitExceeded()
}

/// Checks a condition again and again until it is true.
func until(_ condition: @escaping @Sendable () async throws -> Bool) async throws {
    try await within {
        while try await !condition() { try await Task.sleep(nanoseconds: 10_000_000) }
    }
}

/// Returns the error of this library that the work throws.
func error(of work: () async throws -> Void) async -> PresenceError? {
    do {
        try await work()
        return nil
    } catch {
        return error as? PresenceError
    }
}

extension AsyncSequence where Self: Sendable, Element: Sendable {
    /// Returns the first result of `find` that is not `nil`.
    func first<Found: Sendable>(_ find: @escaping @Sendable (Element) -> Found?) async throws -> Found {
        try await within {
            for try await element in self {
                if let found = find(element) { return found }
            }
            throw SequenceEnded()
        }
    }
}

extension ConnectionStates {
    /// Waits for a state.
    func waitForState(
        _ matches: @escaping @Sendable (ConnectionState) -> Bool
    ) async throws -> ConnectionState {
        try await first { matches($0) ? $0 : nil }
    }
}

extension DeviceChannel {
    /// Waits for a state.
    func waitForState(
        _ matches: @escaping @Sendable (ConnectionState) -> Bool
    ) async throws -> ConnectionState {
        try await states.waitForState(matches)
    }

    /// Waits until the channel is connected.
    func waitUntilConnected() async throws { _ = try await waitForState { $0 == .connected } }

    /// Waits for the next notification.
    func nextNotification() async throws -> LiveNotification { try await notifications.first { $0 } }

    /// Waits for the next credential request.
    func nextCredentialRequest() async throws -> CredentialReason {
        try await credentialRequests.first { $0 }
    }
}

extension AppServiceChannel {
    /// Waits for a state.
    func waitForState(
        _ matches: @escaping @Sendable (ConnectionState) -> Bool
    ) async throws -> ConnectionState {
        try await states.waitForState(matches)
    }
}

extension ChannelSequence<AppServiceEvent> {
    /// Waits for the event of a state.
    func waitForState(
        _ matches: @escaping @Sendable (ConnectionState) -> Bool
    ) async throws -> ConnectionState {
        try await first { event in
            if case .state(let state) = event, matches(state) { state } else { nil }
        }
    }

    /// Waits for the next snapshot.
    func snapshot() async throws -> (presence: [PresenceUpdate], gap: Bool, cursor: String?) {
        try await first { event in
            if case .snapshot(let presence, let gap, let cursor) = event { (presence, gap, cursor) } else { nil }
        }
    }

    /// Waits for an update of this user.
    func update(of uid: String) async throws -> (presence: PresenceUpdate, cursor: String?) {
        try await first { event in
            guard case .updates(let presence, let cursor) = event else { return nil }
            return presence.last { $0.uid == uid }.map { ($0, cursor) }
        }
    }
}

extension ChannelSequence<AppServiceEvent> {
    /// Applies events to the map until the condition is true.
    func apply(to map: PresenceMap, until condition: @escaping @Sendable () throws -> Bool) async throws {
        try await within {
            let events = makeAsyncIterator()
            while try !condition() {
                guard let event = try await events.next() else { throw SequenceEnded() }
                _ = try map.apply(event: event)
            }
        }
    }
}

extension ConnectionState {
    /// The error with which the last credential was refused.
    var signedOut: PresenceError? {
        if case .signedOut(let reason) = self { reason } else { nil }
    }

    var isWaiting: Bool {
        if case .waiting = self { true } else { false }
    }

    var isEnded: Bool {
        if case .ended = self { true } else { false }
    }
}

/// The time limits of a channel that reconnects fast.
let fastReconnects = ChannelTiming(backoffFloor: 0.05, backoffCeiling: 0.2)

extension TestServer {
    /// Opens a channel for a device of a user, with the token of a session, which survives a
    /// restart of the server.
    func device(_ name: String, _ device: String = "phone") async throws -> DeviceChannel {
        try open(device, with: .token(try await signIn(name)))
    }

    /// Opens a channel for a device.
    func open(_ device: String, with credential: Credential) throws -> DeviceChannel {
        try DeviceChannel.open(
            options: DeviceOptions(server: url, device: device, credential: credential, timing: fastReconnects))
    }

    /// Opens the channel of the back end of an Application.
    func appService(
        _ application: Application, cursor: String? = nil, receipts: Bool = false
    ) throws -> AppServiceChannel {
        try AppServiceChannel.open(
            options: AppServiceOptions(
                server: url, application: application.appid, apiKey: Secret(text: application.apiKey), cursor: cursor,
                receipts: receipts, timing: fastReconnects))
    }
}
