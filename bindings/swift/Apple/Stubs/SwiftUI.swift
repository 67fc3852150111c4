// Stubs of the types of Apple, to compile against.

public enum ScenePhase: Comparable, Sendable { case background, inactive, active }

public struct EnvironmentValues {
    public var scenePhase: ScenePhase { .active }
}

@propertyWrapper public struct Environment<Value> {
    public let wrappedValue: Value

    public init(_ path: KeyPath<EnvironmentValues, Value>) { wrappedValue = EnvironmentValues()[keyPath: path] }
}

@MainActor public protocol View {
    associatedtype Body: View
    var body: Body { get }
}

extension Never: View {
    public var body: Never { fatalError() }
}

extension View {
    public func task<Id: Equatable>(id: Id, _ action: @escaping @MainActor () async -> Void) -> some View { self }
}

public struct Text: View {
    public init(_ text: String) {}

    public var body: Never { fatalError() }
}
