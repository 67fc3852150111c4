package org.presence.client

import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertTrue

/** The sample of a device on the command line. */
class SampleTest {
    @Test
    fun `the sample reports its status, prints notifications and closes its channel`() = withTestServer { server ->
        val app = server.application("Lunch club")
        val alice = server.grant("alice", app)
        val map = PresenceMap()
        val sample = startSample(server.url, "alice@dev.localhost", "phone")
        val input = sample.outputStream.bufferedWriter()
        val output = sample.inputStream.bufferedReader()
        PresenceAppService.open(this, server.appService(app)).use { service ->
            service.awaitStatus(map, alice, PresenceStatus.Online)
            input.write("unavailable at lunch\n")
            input.flush()
            service.awaitStatus(map, alice, PresenceStatus.Unavailable, "at lunch")
            service.notify(NewNotification(alice, "Pasta today", action = "https://lunch.example/"))
            val shown = generateSequence(output::readLine).first { "Lunch club" in it }
            assertTrue(shown.startsWith("Lunch club (127.0.0.1:") && shown.endsWith("): Pasta today https://lunch.example/"), shown)
            input.close()
            service.awaitStatus(map, alice, PresenceStatus.Offline)
        }
        check(sample.waitFor(TIMEOUT.inWholeSeconds, TimeUnit.SECONDS)) { "the sample has not ended" }
        assertEquals(0, sample.exitValue())
    }

    private fun startSample(vararg arguments: String): Process {
        val java = System.getProperty("java.home") + "/bin/java"
        val libraries = "-Djna.library.path=" + System.getProperty("jna.library.path")
        val classes = System.getProperty("java.class.path")
        val command = listOf(java, libraries, "-cp", classes, "org.presence.samples.Device", *arguments)
        return ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }
}
