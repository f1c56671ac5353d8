"""The AWS IoT Device SDK for Python, version 1: messages there and back, and a Device Shadow through its whole life.

Two clients: the SDK gives a delta to its user only if it has not seen that version before, and an update's own answer has the
same version. So an app desires, and a device hears of it. Every first use of a topic costs two seconds, which the SDK sleeps
after it has subscribed.

By WebSocket the SDK takes only host names of AWS's, for the region in them. The emulator's certificate has such a name, and
the SDK's socket factory leads to loopback instead. It brings its own code for TLS, different ones before and since Python 3.12,
which has no `ssl.wrap_socket` any more; both are left as they are.
"""

import json
import socket

import sdk
from AWSIoTPythonSDK.MQTTLib import AWSIoTMQTTShadowClient


def connected(args, name):
    websocket = args.access_key is not None
    client = AWSIoTMQTTShadowClient(f"{args.thing}-{name}", useWebsocket=websocket)
    if websocket:
        client.configureEndpoint(args.host, args.port)
        client.configureCredentials(args.ca)
        client.configureIAMCredentials(args.access_key, args.secret)
        client.configureSocketFactory(lambda: socket.create_connection(("127.0.0.1", args.port), sdk.PATIENCE))
    else:
        client.configureEndpoint("localhost", args.port)
        client.configureCredentials(args.ca, args.key, args.cert)
    client.configureConnectDisconnectTimeout(sdk.PATIENCE)
    client.configureMQTTOperationTimeout(sdk.PATIENCE)
    sdk.check(client.connect(), f"{name} is not connected")
    return client


def messages(client, topic, qos):
    received, acknowledged = sdk.Inbox("message"), sdk.Inbox("acknowledgement")
    take = lambda _client, _data, message: received.put(message.topic, message.payload, message.qos)
    acknowledge = lambda mid: acknowledged.put(mid)
    sdk.check(client.subscribe(topic, qos, take), f"not subscribed to {topic}")
    # All at once, so that what is joined in one record or cut in two is met.
    for payload in sdk.PAYLOADS:
        client.publishAsync(topic, payload, qos, acknowledge if qos else None)
    sdk.arrived(received, topic, qos)
    for _ in sdk.PAYLOADS if qos else []:
        acknowledged.take()


class Shadow:
    """One client's view of the shadow; its requests wait for their answers."""

    def __init__(self, client, thing):
        self.handler = client.createShadowHandlerWithName(thing, True)
        self.answers = sdk.Inbox("answer from the shadow")

    def answer(self, request, *args, expected="accepted"):
        """The document in the answer to one of the handler's requests."""
        # The SDK says `timeout` first, which tells more than that there was no answer.
        token = request(*args, self.answers.put, sdk.PATIENCE - 5)
        payload, status, answered = self.answers.take()
        sdk.check(
            (status, answered) == (expected, token),
            f"{request.__name__} {token} was {status}, not {expected}, with token {answered}: {payload}",
        )
        return json.loads(payload)

    def update(self, state):
        return self.answer(self.handler.shadowUpdate, json.dumps({"state": state}))

    def get(self, **more):
        return self.answer(self.handler.shadowGet, **more)

    def delete(self):
        return self.answer(self.handler.shadowDelete)


def missing(shadow):
    rejected = shadow.get(expected="rejected")
    sdk.check(rejected["code"] == 404, f"rejected otherwise: {rejected}")


def shadows(thing, client, app_client):
    device, app = Shadow(client, thing), Shadow(app_client, thing)
    deltas = sdk.Inbox("delta")
    missing(device)
    sdk.say("get of a missing shadow rejected with 404")

    device.handler.shadowRegisterDeltaCallback(deltas.put)
    accepted = app.update({"desired": {"color": "red"}})
    sdk.check(accepted["state"] == {"desired": {"color": "red"}}, f"another answer: {accepted}")
    sdk.say("update accepted")
    payload, kind, _ = deltas.take()
    delta = json.loads(payload)
    sdk.check(kind == f"delta/{thing}" and delta["state"] == {"color": "red"}, f"another {kind}: {delta}")
    sdk.check(delta["version"] == accepted["version"], f"delta {delta} of update {accepted}")
    sdk.say("delta received")

    state = device.get()["state"]
    expected = {"desired": {"color": "red"}, "delta": {"color": "red"}}
    sdk.check(state == expected, f"another state before the report: {state}")
    reported = device.update({"reported": {"color": "red"}})
    document = device.get()
    expected = {"desired": {"color": "red"}, "reported": {"color": "red"}}
    sdk.check(document["state"] == expected, f"another state after the report: {document}")
    sdk.check(document["version"] == reported["version"] == accepted["version"] + 1, f"another version: {document}")
    sdk.say("get returns what was desired, and reported")

    deleted = device.delete()
    sdk.check(deleted["version"] == document["version"], f"another version deleted: {deleted}")
    missing(device)
    sdk.say("delete accepted")


def main(args):
    device, app = connected(args, "device"), connected(args, "app")
    for qos in [0, 1]:
        messages(device.getMQTTConnection(), f"interop/{args.thing}/{qos}", qos)
    shadows(args.thing, device, app)
    device.disconnect()
    app.disconnect()


sdk.run(main)
