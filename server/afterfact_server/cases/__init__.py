"""Cases: what analysts found out together, and that what they concluded still holds."""
