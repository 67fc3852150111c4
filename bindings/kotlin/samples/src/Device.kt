/**
 * A device on the command line: reports a status, and prints and acknowledges notifications.
 *
 * It needs a server in development mode, which creates an assertion for any address
 * `@dev.localhost`:
 *
 *     device http://127.0.0.1:8080 alice@dev.localhost phone
 *
 * Each line of the input is a status and a text, such as `unavailable at lunch`. The end of the
 * input closes the channel.
 */
@file:JvmName("Device")

package org.presence.samples

import kotlin.system.exitProcess
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import org.presence.client.ConnectionState
import org.presence.client.Credential
import org.presence.client.DeviceOptions
import org.presence.client.PresenceApi
import org.presence.client.PresenceDevice
import org.presence.client.PresenceException
import org.presence.client.PresenceStatus

fun main(arguments: Array<String>) {
    if (arguments.size != 3) {
        System.err.println("usage: device SERVER EMAIL NAME")
        exitProcess(2)
    }
    val (server, email, name) = arguments
    runBlocking {
        val api = PresenceApi(server)
        // A production app asks its identity provider for the assertion instead.
        val device = PresenceDevice.open(this, DeviceOptions(server, name)) {
            Credential.Assertion(api.devAssertion(email))
        }
        val printing = launch { device.state.collect { println(describe(it)) } }
        launch {
            device.handleNotifications { println("${it.source} (${it.domain}): ${it.message} ${it.action}".trim()) }
        }
        withContext(Dispatchers.IO) {
            generateSequence(::readlnOrNull).forEach { setStatus(device, it) }
        }
        device.shutdown()
        printing.cancel()
    }
}

/** Sets the status and the text of an input line. */
private fun setStatus(device: PresenceDevice, line: String) {
    val (status, text) = "$line ".split(" ", limit = 2)
    val known = mapOf(
        "online" to PresenceStatus.Online,
        "unavailable" to PresenceStatus.Unavailable,
        "offline" to PresenceStatus.Offline,
    )
    try {
        val chosen = known[status] ?: return println("Enter online, unavailable or offline, followed by a text.")
        device.setStatus(chosen, text.trim())
    } catch (error: PresenceException.InvalidArgument) {
        println(error.reason)
    }
}

private fun describe(state: ConnectionState): String = when (state) {
    is ConnectionState.Connecting -> "connecting"
    is ConnectionState.Connected -> "connected"
    is ConnectionState.Waiting -> "not connected: ${state.reason.message}. Next attempt in ${state.retryInSeconds} s"
    is ConnectionState.CredentialWanted -> "signing in"
    is ConnectionState.SignedOut -> "signed out: ${state.reason.message}"
    is ConnectionState.Ended -> "ended"
}
