/// Waits for a call of the Rust part, and ends it at once where the task is cancelled.
///
/// The generated calls do not notice that by themselves: each takes a ``CancelToken`` for it. The calls without that argument, beside
/// them, are made of this.
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
