import Foundation

#if canImport(Glibc)
    import Glibc
    private let streamSocket = Int32(SOCK_STREAM.rawValue)
#else
    import Darwin
    private let streamSocket = SOCK_STREAM
#endif

/// A server on loopback that answers one request, with the HTTP status 429.
final class OneRequestServer: Sendable {
    let port: UInt16
    private let listener: Int32

    init() throws {
        let listener = socket(AF_INET, streamSocket, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(listener, address, length) == 0 && listen(listener, 1) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard isListening else { throw POSIXError(.EADDRNOTAVAIL) }
        self.listener = listener
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(listener) }

    /// Waits for a request, answers it, and returns the lines of its head.
    func answer() async -> [String] {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let connection = accept(self.listener, nil, nil)
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
