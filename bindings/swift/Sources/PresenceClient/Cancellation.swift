/// Waits for a call of the Rust library, and ends it at once if the task is cancelled.
///
/// The generated calls do not notice a cancelled task. Each takes a ``CancelToken`` instead. The
/// generated overloads without that argument use this function.
func cancellable<Value: Sendable>(
    _ call: @Sendable (CancelToken) async throws -> Value
) async throws -> Value {
    let token = CancelToken()
    do {
        return try await withTaskCancellationHandler {
            try await call(token)
        } onCancel: {
            token.cancel()
        }
    } catch PresenceError.Cancelled {
        throw CancellationError()
    }
}
