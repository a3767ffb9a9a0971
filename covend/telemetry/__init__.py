"""What operators see of a running covend: metrics, logs, and word to the service manager."""
