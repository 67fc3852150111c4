/**
 * A device on the command line: says a status, and shows and acknowledges live notifications.
 *
 * With a server in development mode, which makes an assertion for anybody `@dev.localhost`:
 *
 *     device http://127.0.0.1:8080 alice@dev.localhost phone
 *
 * Then each line is a status and a text, such as `unavailable at lunch`; the end of the input ends the device.
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
        System.err.println("device SERVER EMAIL NAME")
        exitProcess(2)
    }
    val (server, email, name) = arguments
    runBlocking {
        val identity = PresenceApi(server)
        // An app of the real world asks its identity provider instead.
        val device = PresenceDevice.open(this, DeviceOptions(server, name)) {
            Credential.Assertion(identity.devAssertion(email))
        }
        val telling = launch { device.state.collect { println(told(it)) } }
        launch { device.takeNotifications { println("${it.source}: ${it.message} ${it.action}".trim()) } }
        withContext(Dispatchers.IO) { generateSequence(::readlnOrNull).forEach { say(device, it) } }
        device.shutdown()
        telling.cancel()
    }
}

/** Says what a line wishes: a status, and behind it a text. */
private fun say(device: PresenceDevice, line: String) {
    val (status, text) = "$line ".split(" ", limit = 2)
    try {
        device.setStatus(PresenceStatus.valueOf(status.uppercase()), text.trim())
    } catch (_: IllegalArgumentException) {
        println("online, unavailable or offline, and behind it a text")
    } catch (error: PresenceException.InvalidArgument) {
        println(error.reason)
    }
}

private fun told(state: ConnectionState): String = when (state) {
    is ConnectionState.Connecting -> "connecting"
    is ConnectionState.Connected -> "connected"
    is ConnectionState.Waiting -> "not connected, trying again in ${state.retryInSeconds} s"
    is ConnectionState.CredentialWanted -> "signing in"
    is ConnectionState.SignedOut -> "signed out"
    is ConnectionState.Ended -> "ended"
}
