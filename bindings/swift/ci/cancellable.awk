# Reads the generated Swift source, and writes beside each call that takes a `CancelToken` one without it, which a cancelled task ends.
# Left out are the two that `Sources/PresenceClient` wraps in another way: the events, and closing.

BEGIN { print "// Made by ci/generate from what uniffi made; not to be edited." }

/^open class / { class = $3; sub(/:.*/, "", class) }

/^ *\/\*\*/ { doc = "" }
/^ *\/?\*/ { doc = doc $0 "\n" }
!/^ *\/?\*/ && !/^open func / { doc = "" }

/^open func .*cancel: CancelToken\? = nil\)async throws/ && !/func (nextEvent|shutdown)\(/ {
  name = $0
  sub(/^open func /, "", name)
  sub(/\(.*/, "", name)

  parameters = $0
  sub(/^[^(]*\(/, "", parameters)
  sub(/(, )?cancel: CancelToken\? = nil\)async.*/, "", parameters)
  arguments = ""
  count = split(parameters, each, /, /)
  for (i = 1; i <= count; i++) {
    label = each[i]
    sub(/:.*/, "", label)
    arguments = arguments label ": " label ", "
  }

  returns = $0
  sub(/.*\)async throws *(-> )?/, "", returns)
  sub(/ *\{.*/, "", returns)

  sub(/\*\/\n$/, "*\n     * Cancelling the task ends the call at once, with `CancellationError`.\n     */\n", doc)
  if (returns != "") returns = "-> " returns " "
  printf "\nextension %s {\n%s", class, doc
  printf "    public func %s(%s) async throws %s{\n", name, parameters, returns
  printf "        try await cancellable { try await self.%s(%scancel: $0) }\n    }\n}\n", name, arguments
}
