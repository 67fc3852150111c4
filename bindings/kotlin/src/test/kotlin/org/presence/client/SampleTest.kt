package org.presence.client

import java.util.concurrent.TimeUnit
import kotlin.test.Test
import kotlin.test.assertEquals

/** The sample that a phone developer copies from does what it says. */
class SampleTest {
    @Test
    fun `the device of the sample is seen, shows notifications and leaves`() = onStage { stage ->
        val app = stage.application("Lunch club")
        val alice = stage.grant("alice", app)
        val map = PresenceMap()
        val sample = start(stage.url, "alice@dev.localhost", "phone")
        val input = sample.outputStream.bufferedWriter()
        val output = sample.inputStream.bufferedReader()
        PresenceAppService.open(this, stage.appService(app)).use { service ->
            service.sees(map, alice, PresenceStatus.ONLINE)
            input.write("unavailable at lunch\n")
            input.flush()
            service.sees(map, alice, PresenceStatus.UNAVAILABLE, "at lunch")
            service.notify(NewNotification(alice, "Pasta today", action = "https://lunch.example/"))
            val shown = generateSequence(output::readLine).first { "Lunch club" in it }
            assertEquals("Lunch club: Pasta today https://lunch.example/", shown)
            input.close()
            service.sees(map, alice, PresenceStatus.OFFLINE)
        }
        check(sample.waitFor(PATIENCE.inWholeSeconds, TimeUnit.SECONDS)) { "the sample does not end" }
        assertEquals(0, sample.exitValue())
    }

    private fun start(vararg arguments: String): Process {
        val java = System.getProperty("java.home") + "/bin/java"
        val libraries = "-Djna.library.path=" + System.getProperty("jna.library.path")
        val classes = System.getProperty("java.class.path")
        val command = listOf(java, libraries, "-cp", classes, "org.presence.samples.Device", *arguments)
        return ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    }
}
