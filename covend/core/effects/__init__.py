"""What the world shall see of a task: decided and worded here to the byte, and sent by others."""
