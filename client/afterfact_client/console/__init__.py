"""The desktop console: the only part of Afterfact that imports Qt.

models/ adapts what afterfact_client.state knows to Qt, views/ shows it, app.py starts it.
"""
