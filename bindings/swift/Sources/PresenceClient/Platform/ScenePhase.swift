#if canImport(Network) && canImport(SwiftUI)
    import SwiftUI

    extension PlatformMonitor {
        /// Reports the scene phase of a SwiftUI app. On iOS and macOS it is needed only for an app
        /// that can start in the background; the monitor sees the changes by itself.
        ///
        /// ```swift
        /// .task(id: scenePhase) { monitor.report(scenePhase: scenePhase) }
        /// ```
        ///
        /// An app with several scenes reads the phase in its `App`, where it is that of all scenes.
        public func report(scenePhase phase: ScenePhase) {
            // A phase that a later version adds is not the background.
            report(visibility: phase == .background ? .background : .foreground)
        }
    }
#endif
