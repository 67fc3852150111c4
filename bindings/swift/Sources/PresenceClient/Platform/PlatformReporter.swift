import Foundation

/// The network at one moment, as far as it matters to a connection.
struct NetworkPath: Equatable, Sendable {
    /// Is true if a connection can be made.
    let isUsable: Bool
    /// The preferred interface, and the gateways. Another Wi-Fi has the same interface and another
    /// gateway.
    let route: [String]
}

/// The calls of a channel for what only the platform knows.
protocol PlatformEventReceiver: AnyObject, Sendable {
    /// Reports another network.
    func networkChanged()
    /// Reports whether the app is visible.
    func setAppVisibility(visibility: AppVisibility)
}

extension DeviceChannel: PlatformEventReceiver {}

/// Decides which events of the platform are reported to a channel. The events can come from any
/// thread. It does not keep the channel alive.
final class PlatformReporter: @unchecked Sendable {
    // The calls of the channel return at once, so they are made inside the lock, which keeps their
    // order.
    private let lock = NSLock()
    private weak var channel: (any PlatformEventReceiver)?
    private var path: NetworkPath?
    private var visibility: AppVisibility?

    init(to channel: any PlatformEventReceiver) {
        self.channel = channel
    }

    /// Reports a path that can be used and differs from the last one. The first path is no change.
    func pathChanged(to new: NetworkPath) {
        lock.withLock {
            if let path, new.isUsable, new != path { channel?.networkChanged() }
            path = new
        }
    }

    /// Reports that connections may have been lost while the device slept.
    func deviceWoke() {
        lock.withLock { channel?.networkChanged() }
    }

    /// Reports a visibility that differs from the last one.
    func visibilityChanged(to new: AppVisibility) {
        lock.withLock {
            if new != visibility { channel?.setAppVisibility(visibility: new) }
            visibility = new
        }
    }

    /// Ends the reports.
    func stop() {
        lock.withLock { channel = nil }
    }
}
