"""Links between nodes: within a process by reference, between processes through sockets and shared memory."""
