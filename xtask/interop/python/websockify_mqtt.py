"""websockify for MQTT: by itself it knows no subprotocol but `binary`, and MQTT's clients ask for theirs."""

from websockify import websocketproxy, websockifyserver


def select_subprotocol(websocket, protocols):
    return "mqtt" if "mqtt" in protocols else ""


websockifyserver.CompatibleWebSocket.select_subprotocol = select_subprotocol
websocketproxy.websockify_init()
