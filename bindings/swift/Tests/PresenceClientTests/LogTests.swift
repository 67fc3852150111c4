import Foundation
import PresenceClient
import Testing

extension Everything {
    @Suite("The log") struct LogTests {}
}

/// Keeps what it is told.
private final class Lines: LogSink, @unchecked Sendable {
    private let lock = NSLock()
    private var told: [LogLine] = []

    func log(line: LogLine) throws { lock.withLock { told.append(line) } }

    var all: [LogLine] { lock.withLock { told } }
}

extension Everything.LogTests {
    @Test("tells the app what a channel does, and no secret")
    func lines() async throws {
        let stage = try await Stage.start()
        let lines = Lines()
        try setLogSink(sink: lines, level: .trace)
        let token = try await stage.signIn("alice")
        let channel = try stage.open("phone", with: .token(token))
        try await within { try await channel.settled() }
        await channel.close()
        try await until { !lines.all.isEmpty }
        try setLogSink(sink: nil, level: .error)
        #expect(lines.all.allSatisfy { $0.target.hasPrefix("presence_") })
        #expect(!lines.all.contains { $0.text.contains(token) })
    }
}
