import PresenceClient

// Opens and closes a device without a server, which needs the library.
let channel = try DeviceChannel.open(options: DeviceOptions(server: "https://presence.example", device: "laptop"))
await channel.close()
print("the published package works: \(channel.state())")
