// The functions that the examples of the README leave to the app.

func freshAssertion(for server: String) async throws -> String { server }
