import Foundation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A server on loopback that answers one request, with the HTTP status 429.
final class OneRequestServer: Sendable {
    let listener: LoopbackListener

    init() throws { listener = try LoopbackListener() }

    /// Waits for a request, answers it, and returns the lines of its head.
    func answer() async -> [String] {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let connection = accept(self.listener.descriptor, nil, nil)
                var head = ""
                var buffer = [UInt8](repeating: 0, count: 4096)
                while !head.contains("\r\n\r\n") {
                    let count = read(connection, &buffer, buffer.count)
                    guard count > 0 else { break }
                    head += String(decoding: buffer[..<count], as: UTF8.self)
                }
                let refusal = Array("HTTP/1.1 429 Busy\r\ncontent-length: 0\r\n\r\n".utf8)
                _ = write(connection, refusal, refusal.count)
                close(connection)
                continuation.resume(returning: head.components(separatedBy: "\r\n"))
            }
        }
    }
}
