import Dispatch

// Stubs of the classes of Apple, to compile against, which tests drive.

public struct NWPath: Equatable, Sendable {
    public enum Status: Equatable, Sendable { case satisfied, unsatisfied, requiresConnection }

    public let status: Status
    public let availableInterfaces: [NWInterface]
    public let gateways: [NWEndpoint]

    public init(status: Status, interfaces: [String], gateways: [String]) {
        self.status = status
        availableInterfaces = interfaces.map(NWInterface.init)
        self.gateways = gateways.map(NWEndpoint.unix)
    }
}

public struct NWInterface: Equatable, Sendable {
    public let name: String
}

public enum NWEndpoint: Equatable, Sendable {
    case unix(path: String)
}

public final class NWPathMonitor {
    /// The monitors that run.
    nonisolated(unsafe) public static var running: [NWPathMonitor] = []

    public var pathUpdateHandler: (@Sendable (_ newPath: NWPath) -> Void)?

    public init() {}

    public func start(queue: DispatchQueue) { Self.running.append(self) }

    public func cancel() { Self.running.removeAll { $0 === self } }
}
