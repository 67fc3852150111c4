import Foundation
import PresenceClient
import Testing

/// All tests, one after the other: each has a server of its own, and one counts what is alive in the process.
@Suite(.serialized) enum Everything {}

/// It did not happen in time.
struct TooLate: Error {}

/// The events ended before what was waited for.
struct NoMoreEvents: Error {}

/// Fails where the work takes longer than anything here may take, also where it cannot be cancelled.
func within<Value: Sendable>(
    _ seconds: Double = 30, _ work: @escaping @Sendable () async throws -> Value
) async throws -> Value {
    let (values, value) = AsyncThrowingStream<Value, any Error>.makeStream()
    let working = Task {
        do {
            value.yield(try await work())
        } catch {
            value.finish(throwing: error)
        }
    }
    let timer = Task {
        try await Task.sleep(nanoseconds: UInt64(seconds * 1e9))
        value.finish(throwing: TooLate())
    }
    defer {
        working.cancel()
        timer.cancel()
    }
    for try await value in values { return value }
    throw TooLate()
}

/// Looks again and again until it is so.
func until(_ isSo: @escaping @Sendable () async throws -> Bool) async throws {
    try await within {
        while try await !isSo() { try await Task.sleep(nanoseconds: 10_000_000) }
    }
}

/// The error that the work throws; nothing where it throws none of this library.
func error(of work: () async throws -> Void) async -> PresenceError? {
    do {
        try await work()
        return nil
    } catch {
        return error as? PresenceError
    }
}

extension ChannelEvents {
    /// The first of the next events in which there is what is looked for.
    func first<Found: Sendable>(_ look: @escaping @Sendable (Event) -> Found?) async throws -> Found {
        try await within {
            for await event in self {
                if let found = look(event) { return found }
            }
            throw NoMoreEvents()
        }
    }
}

extension ChannelEvents<DeviceEvent> {
    /// Waits for a state.
    func state(_ wanted: @escaping @Sendable (ConnectionState) -> Bool) async throws -> ConnectionState {
        try await first { event in
            if case .state(let state) = event, wanted(state) { state } else { nil }
        }
    }

    /// Waits for the connection.
    func connected() async throws { _ = try await state { $0 == .connected } }

    /// Waits for the next notification.
    func notification() async throws -> LiveNotification {
        try await first { event in
            if case .notification(let notification) = event { notification } else { nil }
        }
    }

    /// Waits until a credential is wanted.
    func credentialWanted() async throws -> CredentialReason {
        try await first { event in
            if case .credentialWanted(let reason) = event { reason } else { nil }
        }
    }
}

extension ChannelEvents<AppServiceEvent> {
    /// Waits for a state.
    func state(_ wanted: @escaping @Sendable (ConnectionState) -> Bool) async throws -> ConnectionState {
        try await first { event in
            if case .state(let state) = event, wanted(state) { state } else { nil }
        }
    }

    /// Waits for the next snapshot: who is in it, and whether something was missed before it.
    func snapshot() async throws -> (presence: [UserPresence], gap: Bool, cursor: String?) {
        try await first { event in
            if case .snapshot(let presence, let gap, let cursor) = event { (presence, gap, cursor) } else { nil }
        }
    }

    /// Waits for an update of this user, and for where to resume after it.
    func update(of uid: String) async throws -> (presence: UserPresence, cursor: String?) {
        try await first { event in
            guard case .updates(let presence, let cursor) = event else { return nil }
            return presence.last { $0.uid == uid }.map { ($0, cursor) }
        }
    }
}

extension ChannelEvents<AppServiceEvent> {
    /// Gives the map every event until it is so.
    func mirror(in map: PresenceMap, until isSo: @escaping @Sendable () throws -> Bool) async throws {
        try await within {
            while try !isSo() {
                guard let event = await next() else { throw NoMoreEvents() }
                _ = try map.apply(event: event)
            }
        }
    }
}

extension ConnectionState {
    /// Why the last credential was refused.
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

/// Comes back fast.
let impatient = ChannelTiming(backoffFloor: 0.05, backoffCeiling: 0.2)

extension Stage {
    /// Opens a channel for a device of somebody, with the token of a session, which outlives the server.
    func device(_ name: String, _ device: String = "phone") async throws -> DeviceChannel {
        try open(device, with: .token(try await signIn(name)))
    }

    /// Opens a channel for a device.
    func open(_ device: String, with credential: Credential) throws -> DeviceChannel {
        try DeviceChannel.open(
            options: DeviceOptions(server: url, device: device, credential: credential, timing: impatient))
    }

    /// Opens the channel of an Application's back end.
    func appService(
        _ application: Application, cursor: String? = nil, receipts: Bool = false
    ) throws -> AppServiceChannel {
        try AppServiceChannel.open(
            options: AppServiceOptions(
                server: url, application: application.appid, apiKey: Secret(text: application.apiKey), cursor: cursor,
                receipts: receipts, timing: impatient))
    }
}
