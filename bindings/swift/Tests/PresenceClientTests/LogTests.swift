import Foundation
import PresenceClient
import Testing

extension AllTests {
    @Suite("The log") struct LogTests {}
}

/// A sink that collects the lines.
private final class LineCollector: LogSink, @unchecked Sendable {
    private let lock = NSLock()
    private var lines: [LogLine] = []

    func log(line: LogLine) throws { lock.withLock { lines.append(line) } }

    var all: [LogLine] { lock.withLock { lines } }
}

extension AllTests.LogTests {
    @Test("contains what a channel does, and no secret")
    func noSecrets() async throws {
        let server = try await TestServer.start()
        let lines = LineCollector()
        try setLogSink(sink: lines, level: .trace)
        let token = try await server.signIn("alice")
        let channel = try server.open("phone", with: .token(token))
        try await within { try await channel.confirmed() }
        await channel.close()
        try await until { !lines.all.isEmpty }
        try setLogSink(sink: nil, level: .error)
        #expect(lines.all.allSatisfy { $0.target.hasPrefix("presence_") })
        #expect(!lines.all.contains { $0.text.contains(token) })
    }
}
