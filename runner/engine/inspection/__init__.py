"""What can be seen of a network: functions from networks and images to arrays and numbers."""
