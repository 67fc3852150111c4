import Foundation
import Testing

@testable import PresenceClient

extension AllTests {
    @Suite("What the platform reports") struct PlatformTests {}
}

/// A channel that keeps the calls that it gets.
private final class RecordingReceiver: PlatformEventReceiver, @unchecked Sendable {
    private let lock = NSLock()
    private var recorded: [String] = []

    func networkChanged() { record("network") }

    func setAppVisibility(visibility: AppVisibility) { record("\(visibility)") }

    private func record(_ call: String) { lock.withLock { recorded.append(call) } }

    /// The calls since the last time.
    var calls: [String] {
        lock.withLock {
            defer { recorded = [] }
            return recorded
        }
    }
}

private let wifi = NetworkPath(isUsable: true, route: ["en0", "192.168.1.1"])
private let otherWifi = NetworkPath(isUsable: true, route: ["en0", "10.0.0.1"])
private let mobile = NetworkPath(isUsable: true, route: ["pdp_ip0"])
private let offline = NetworkPath(isUsable: false, route: [])

extension AllTests.PlatformTests {
    @Test("is another network, and not the first one or the same one")
    func networks() {
        let channel = RecordingReceiver()
        let reporter = PlatformReporter(to: channel)
        reporter.pathChanged(to: wifi)
        reporter.pathChanged(to: wifi)
        #expect(channel.calls == [])
        for path in [otherWifi, mobile, wifi] { reporter.pathChanged(to: path) }
        #expect(channel.calls == ["network", "network", "network"])
    }

    @Test("is the end of being offline, and not its beginning")
    func offlineTime() {
        let channel = RecordingReceiver()
        let reporter = PlatformReporter(to: channel)
        for path in [offline, wifi] { reporter.pathChanged(to: path) }
        #expect(channel.calls == ["network"])
        reporter.pathChanged(to: offline)
        #expect(channel.calls == [])
        reporter.pathChanged(to: wifi)
        #expect(channel.calls == ["network"])
    }

    @Test("is each change of the visibility once")
    func visibility() {
        let channel = RecordingReceiver()
        let reporter = PlatformReporter(to: channel)
        for visibility in [AppVisibility.foreground, .foreground, .background, .background, .foreground] {
            reporter.visibilityChanged(to: visibility)
        }
        #expect(channel.calls == ["foreground", "background", "foreground"])
    }

    @Test("is nothing after the end, and the channel is not kept alive")
    func end() {
        let channel = RecordingReceiver()
        let reporter = PlatformReporter(to: channel)
        reporter.stop()
        for path in [wifi, mobile] { reporter.pathChanged(to: path) }
        reporter.deviceWoke()
        reporter.visibilityChanged(to: .background)
        #expect(channel.calls == [])

        var released: RecordingReceiver? = RecordingReceiver()
        weak var observed = released
        let other = PlatformReporter(to: released!)
        released = nil
        #expect(observed == nil)
        other.deviceWoke()
    }

    @Test("makes a channel that waits for minutes connect at once")
    func reconnect() async throws {
        let server = try await TestServer.start()
        let channel = try DeviceChannel.open(
            options: DeviceOptions(
                server: server.url, device: "phone", credential: .token(try await server.signIn("alice")),
                timing: ChannelTiming(backoffFloor: 0.05, backoffCeiling: 3_600)))
        let reporter = PlatformReporter(to: channel)
        reporter.pathChanged(to: wifi)
        try await channel.waitUntilConnected()
        try await server.kill()
        // Each change cuts a wait, and each attempt that fails doubles the next one.
        _ = try await channel.waitForState { state in
            guard case .waiting(_, let seconds) = state else { return false }
            if seconds > 60 { return true }
            for path in [offline, wifi] { reporter.pathChanged(to: path) }
            return false
        }
        try await server.restart()
        reporter.pathChanged(to: mobile)
        try await channel.waitUntilConnected()
    }
}
