import kotlinx.coroutines.runBlocking
import org.presence.client.ConnectionState
import org.presence.client.DeviceOptions
import org.presence.client.PresenceDevice

/** Opens and closes a device without a server, which needs the library in the package. */
fun main(): Unit = runBlocking {
    val device = PresenceDevice.open(this, DeviceOptions("https://presence.example", "laptop"))
    device.shutdown()
    println("the published package works: ${(device.state.value as ConnectionState.Ended).reason}")
}
