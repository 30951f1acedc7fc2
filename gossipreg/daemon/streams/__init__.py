"""Streams to other members: sockets, tasks and bounds around `gossipreg/streams`. Loaded only by a sidecar that has
something to send over a stream, or takes journals of others.

    node_streams     all streams of this sidecar, by member: opened on demand, at most one for each
    opening          the attempts to open one, and the messages that wait for it
    accepting        connections to the gossip port, and the bounds of those that have proven nothing
    link             one connection: reads, writes, deadlines
    inbox            what streams tell whoever uses them
    stream_sockets   TCP sockets: connecting, and what the kernel is to do
    stream_messages  messages of replicas over streams: their bytes and their classes
"""
