import Foundation

// The part of the generated code that the monitor uses. `ci/check-apple` type-checks the monitor
// with the whole of it.

public enum AppVisibility: Sendable { case foreground, background }

/// A channel that keeps the calls that it gets.
public final class DeviceChannel: @unchecked Sendable {
    private let lock = NSLock()
    private var recorded: [String] = []

    public func networkChanged() { record("network") }

    public func setAppVisibility(visibility: AppVisibility) { record("\(visibility)") }

    private func record(_ call: String) { lock.withLock { recorded.append(call) } }

    /// The calls since the last time.
    var calls: [String] {
        lock.withLock {
            defer { recorded = [] }
            return recorded
        }
    }
}
