package org.presence.client

import java.util.concurrent.TimeUnit
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive

/** The time limit of one step of a test. It is long for slow machines; a passing test is faster. */
val TIMEOUT = 30.seconds

/** A real server with users and Applications, controlled through `presence-scenario`. */
class TestServer : AutoCloseable {
    private val process = ProcessBuilder(System.getProperty("presence.scenario"))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
    private val commands = process.outputStream.bufferedWriter()
    private val replies = process.inputStream.bufferedReader()

    lateinit var url: String
        private set

    /** Starts the server with these flags. */
    fun start(vararg flags: Pair<String, Int>) {
        val json = JsonObject(flags.associate { (name, value) -> name to JsonPrimitive(value) })
        url = command("start", "flags" to json).text("url")
    }

    /** Kills the server, as a power failure does. */
    fun kill() = command("kill")

    /** Starts the killed server again, with the same port and database. */
    fun restart() = command("restart")

    /** Returns a fresh credential of a user. */
    fun credential(name: String): Credential =
        assertion(command("assertion", "name" to name).text("assertion"))

    /** Registers and activates an Application. */
    fun application(name: String = "Chat"): TestApplication {
        val reply = command("application", "name" to name)
        return TestApplication(reply.text("appid"), reply.text("api_key"))
    }

    /** Grants an Application permission to see a user, and returns the PUID. */
    fun grant(name: String, app: TestApplication): String =
        command("grant", "name" to name, "appid" to app.appid).text("uid")

    /**
     * Sends a command to the program, and returns its reply. Arguments are texts or JSON objects.
     */
    @Synchronized
    fun command(name: String, vararg arguments: Pair<String, Any>): JsonObject {
        val fields = arguments.associate { (field, value) ->
            field to (value as? JsonObject ?: JsonPrimitive(value.toString()))
        }
        commands.write(JsonObject(mapOf("do" to JsonPrimitive(name)) + fields).toString() + "\n")
        commands.flush()
        val line = replies.readLine() ?: error("presence-scenario has ended")
        val reply = Json.parseToJsonElement(line).jsonObject
        check("error" !in reply) { "$name failed: $reply" }
        return reply
    }

    override fun close() {
        commands.close()
        check(process.waitFor(30, TimeUnit.SECONDS)) { "presence-scenario has not ended" }
    }

    /** Returns the options of a device that reconnects at once. */
    fun device(
        user: String,
        device: String = "phone",
        credential: Credential? = credential(user),
    ) = DeviceOptions(url, device, credential = credential, timing = FAST)

    /** Returns the options of a back end that reconnects at once. */
    fun appService(app: TestApplication, receipts: Boolean = false) =
        AppServiceOptions(url, app.appid, Secret(app.apiKey), receipts = receipts, timing = FAST)

    private companion object {
        val FAST = ChannelTiming(backoffFloor = 0.05, backoffCeiling = 0.2, heartbeat = 1.0)
    }
}

/** An Application on the test server. */
data class TestApplication(val appid: String, val apiKey: String)

/** Returns a text field. */
fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

/** Runs a test with a server of its own, and waits until all channels in its scope have ended. */
fun withTestServer(
    vararg flags: Pair<String, Int>,
    test: suspend CoroutineScope.(TestServer) -> Unit,
) {
    TestServer().use { server ->
        server.start(*flags)
        runBlocking(Dispatchers.Default) { withTimeout(TIMEOUT * 4) { test(server) } }
    }
}

/** Returns the first item that matches, within the time limit. */
suspend fun <T> Flow<T>.await(matches: suspend (T) -> Boolean = { true }): T =
    withTimeout(TIMEOUT) { first(matches) }

/** Waits until the channel is connected. */
suspend fun PresenceDevice.connected() = state.await { it is ConnectionState.Connected }

/** Waits until the channel has ended, and returns the reason. */
suspend fun PresenceDevice.endReason(): EndReason =
    (state.await { it is ConnectionState.Ended } as ConnectionState.Ended).reason

/** Applies events to the map until a user has this status and text. */
suspend fun PresenceAppService.awaitStatus(
    map: PresenceMap,
    uid: String,
    status: PresenceStatus,
    message: String? = null,
) {
    fun matches() = map.isLive() && map.status(uid) == status && map.get(uid)?.message == message
    if (!matches()) events.await { map.apply(it); matches() }
}
