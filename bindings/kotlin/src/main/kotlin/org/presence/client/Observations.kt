package org.presence.client

/** The states and counters that are remembered of a channel after the app has closed it. */
internal class Observations(
    val states: List<StateChange> = emptyList(),
    val counters: ChannelCounters = ChannelCounters(0u, 0u, 0u, null, 0u, 0u, 0u, 0u),
)
