"""What all nodes use: links, the connection to the broker, threads, time, metrics.

    inlet = node.inlet()
    outlet = node.transport.outlet(node.settings.queries_names)
    node.broker.mark_ready()
    while not node.stop.is_set():
        received = await inlet.receive(timeout_s=0.2)
        ...

Import from its modules; nothing here imports torch before it is used.
"""

__all__: list[str] = []
