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

/** How long a test waits for what must come. Long, since a busy machine is no failure; no passing test waits for it. */
val PATIENCE = 30.seconds

/** The real server with people and Applications on it, as `presence-stage` sets it up: one a test. */
class Stage : AutoCloseable {
    private val process = ProcessBuilder(System.getProperty("presence.stage"))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start()
    private val orders = process.outputStream.bufferedWriter()
    private val answers = process.inputStream.bufferedReader()

    lateinit var url: String
        private set

    /** Starts a server, with its flags. */
    fun start(vararg flags: Pair<String, Int>) {
        val given = JsonObject(flags.associate { (name, value) -> name to JsonPrimitive(value) })
        url = order("start", "flags" to given).text("url")
    }

    fun kill() = order("kill")

    fun restart() = order("restart")

    /** A fresh proof that somebody is who they are. */
    fun proof(name: String): Credential = assertion(order("assertion", "name" to name).text("assertion"))

    fun application(name: String = "Chat"): App = order("application", "name" to name).let { App(it.text("appid"), it.text("api_key")) }

    fun grant(name: String, app: App): String = order("grant", "name" to name, "appid" to app.appid).text("uid")

    /** Says something to the stage: strings, and JSON as it is. */
    @Synchronized
    fun order(what: String, vararg arguments: Pair<String, Any>): JsonObject {
        val said = arguments.associate { (name, value) -> name to (value as? JsonObject ?: JsonPrimitive(value.toString())) }
        orders.write(JsonObject(mapOf("do" to JsonPrimitive(what)) + said).toString() + "\n")
        orders.flush()
        val answer = Json.parseToJsonElement(answers.readLine() ?: error("the stage is gone")).jsonObject
        check("error" !in answer) { "the stage cannot $what: $answer" }
        return answer
    }

    override fun close() {
        orders.close()
        check(process.waitFor(30, TimeUnit.SECONDS)) { "the stage does not end" }
    }

    /** The options of a device that comes back at once. */
    fun device(user: String, device: String = "phone", credential: Credential? = proof(user)) =
        DeviceOptions(url, device, credential = credential, timing = QUICK)

    /** The options of a back end that comes back at once. */
    fun appService(app: App, receipts: Boolean = false) =
        AppServiceOptions(url, app.appid, Secret(app.apiKey), receipts = receipts, timing = QUICK)

    private companion object {
        val QUICK = ChannelTiming(backoffFloor = 0.05, backoffCeiling = 0.2, heartbeat = 1.0)
    }
}

/** An Application on the stage. */
data class App(val appid: String, val apiKey: String)

fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

/** A test with a stage of its own, and a scope in which channels live and which must be empty at the end. */
fun onStage(vararg flags: Pair<String, Int>, test: suspend CoroutineScope.(Stage) -> Unit) {
    Stage().use { stage ->
        stage.start(*flags)
        runBlocking(Dispatchers.Default) { withTimeout(PATIENCE * 4) { test(stage) } }
    }
}

/** The first item that is wanted, which must come. */
suspend fun <T> Flow<T>.await(wanted: suspend (T) -> Boolean = { true }): T = withTimeout(PATIENCE) { first(wanted) }

/** Waits until the channel is connected. */
suspend fun PresenceDevice.connected() = state.await { it is ConnectionState.Connected }

/** Waits until the channel has ended, and tells how. */
suspend fun PresenceDevice.end(): ChannelEnd = (state.await { it is ConnectionState.Ended } as ConnectionState.Ended).end

/** Applies events to the map until a user is seen with a status, and a text. */
suspend fun PresenceAppService.sees(map: PresenceMap, uid: String, status: PresenceStatus, message: String? = null) {
    fun seen() = map.isLive() && map.status(uid) == status && map.get(uid)?.message == message
    if (!seen()) events.await { map.apply(it); seen() }
}
