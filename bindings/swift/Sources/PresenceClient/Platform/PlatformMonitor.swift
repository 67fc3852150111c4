#if canImport(Network)
    import Foundation
    import Network

    /// Reports to a channel what only the platform knows:
    ///
    /// - The app becomes visible, or leaves the screen.
    /// - The device is on another network, or online again.
    /// - The Mac wakes from sleep.
    ///
    /// The channel then checks its connection at once, or starts its next attempt at once, and
    /// sends fewer pings while the app is not visible.
    ///
    /// ```swift
    /// let channel = try DeviceChannel.open(options: options)
    /// let monitor = PlatformMonitor(reportingTo: channel)
    /// ```
    ///
    /// It runs until it is stopped or released. It does not keep the channel alive, so keep both.
    public final class PlatformMonitor: @unchecked Sendable {
        private let reporter: PlatformReporter
        private let pathMonitor = NWPathMonitor()
        private let appEvents: AppEvents

        /// Starts the reports to a channel.
        @MainActor public init(reportingTo channel: DeviceChannel) {
            let reporter = PlatformReporter(to: channel)
            self.reporter = reporter
            appEvents = AppEvents(to: reporter)
            pathMonitor.pathUpdateHandler = { reporter.pathChanged(to: NetworkPath($0)) }
            pathMonitor.start(queue: DispatchQueue(label: "org.presence.client.path-monitor"))
        }

        /// Stops the reports. It can be called on any thread, and more than once.
        public func stop() {
            reporter.stop()
            pathMonitor.cancel()
            appEvents.stop()
        }

        /// Reports whether the app is visible to its user, in place of the platform. It is needed
        /// only where the platform has no event for it, such as in an app extension.
        public func report(visibility: AppVisibility) {
            reporter.visibilityChanged(to: visibility)
        }

        deinit { stop() }
    }

    extension NetworkPath {
        /// Describes a path of the platform.
        init(_ path: NWPath) {
            let interface = path.availableInterfaces.prefix(1).map(\.name)
            self.init(isUsable: path.status == .satisfied, route: interface + path.gateways.map { "\($0)" }.sorted())
        }
    }
#endif
