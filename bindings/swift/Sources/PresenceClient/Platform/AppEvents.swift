#if canImport(Network)
    import Foundation

    /// The observers of the events of the app, and of the Mac.
    final class AppEvents: @unchecked Sendable {
        private let lock = NSLock()
        private var observers: [(center: NotificationCenter, token: any NSObjectProtocol)] = []

        /// Starts to observe.
        @MainActor init(to reporter: PlatformReporter) {
            observeApp(for: reporter)
        }

        /// Stops to observe.
        func stop() {
            lock.withLock {
                for observer in observers { observer.center.removeObserver(observer.token) }
                observers = []
            }
        }

        /// Calls a function on the thread that posts, which for these events is the main thread.
        private func observe(
            _ name: Notification.Name, in center: NotificationCenter = .default,
            _ call: @escaping @MainActor @Sendable () -> Void
        ) {
            let token = center.addObserver(forName: name, object: nil, queue: nil) { _ in
                MainActor.assumeIsolated(call)
            }
            lock.withLock { observers.append((center, token)) }
        }
    }
#endif

// UIKit of watchOS has no application.
#if canImport(Network) && canImport(UIKit) && !os(watchOS)
    import UIKit

    extension AppEvents {
        /// An app has left the screen when its last scene has. An app that starts in the
        /// background gets no event, and an extension may not ask, so see
        /// ``PlatformMonitor/report(visibility:)``.
        @MainActor private func observeApp(for reporter: PlatformReporter) {
            observe(UIApplication.didEnterBackgroundNotification) { reporter.visibilityChanged(to: .background) }
            observe(UIApplication.willEnterForegroundNotification) { reporter.visibilityChanged(to: .foreground) }
        }
    }
#elseif canImport(Network) && canImport(AppKit)
    import AppKit

    extension AppEvents {
        /// An app is visible while a part of one of its windows is.
        @MainActor private func observeApp(for reporter: PlatformReporter) {
            let report: @MainActor @Sendable () -> Void = {
                let isVisible = NSApplication.shared.occlusionState.contains(.visible)
                reporter.visibilityChanged(to: isVisible ? .foreground : .background)
            }
            report()
            observe(NSApplication.didChangeOcclusionStateNotification, report)
            observe(NSWorkspace.didWakeNotification, in: NSWorkspace.shared.notificationCenter) {
                reporter.deviceWoke()
            }
        }
    }
#elseif canImport(Network)
    extension AppEvents {
        /// This platform has no such events.
        @MainActor private func observeApp(for reporter: PlatformReporter) {}
    }
#endif
