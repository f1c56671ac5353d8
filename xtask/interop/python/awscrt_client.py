"""AWS's own client runtime over WebSocket: signs, connects, subscribes, publishes, and waits for what it published.

The way of aws-iot-device-sdk-python-v2: the upgrade request is signed by query parameters for `iotdevicegateway`, the
session token left out of the signature.
"""

import argparse
import threading
import uuid

from awscrt import auth, io, mqtt, mqtt5

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--ca", required=True)
parser.add_argument("--region", required=True)
parser.add_argument("--access-key", required=True)
parser.add_argument("--secret", required=True)
parser.add_argument("--token")
parser.add_argument("--mqtt", choices=["3.1.1", "5"], required=True)
parser.add_argument("--count", type=int, default=20)
args = parser.parse_args()

HOST = "localhost"
TOPIC = "interop/awscrt"
PATIENCE = 20

group = io.EventLoopGroup(1)
resolver = io.DefaultHostResolver(group)
bootstrap = io.ClientBootstrap(group, resolver)
options = io.TlsContextOptions()
options.override_default_trust_store_from_path(ca_filepath=args.ca)
options.alpn_list = ["http/1.1"]
tls = io.ClientTlsContext(options)
provider = auth.AwsCredentialsProvider.new_static(args.access_key, args.secret, args.token)


def sign(transform_args):
    """Called for each attempt with the upgrade request, which is to be signed; the parameter's name is awscrt's."""
    config = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_QUERY_PARAMS,
        credentials_provider=provider,
        region=args.region,
        service="iotdevicegateway",
        omit_session_token=True,
    )
    signing = auth.aws_sign_request(transform_args.http_request, config)
    signing.add_done_callback(lambda signed: transform_args.set_done(signed.exception()))


received = []
all_there = threading.Event()


def take(payload):
    received.append(bytes(payload).decode())
    if len(received) == args.count:
        all_there.set()


def finish():
    if not all_there.wait(PATIENCE):
        raise SystemExit(f"{len(received)} of {args.count} messages after {PATIENCE} s")
    if received != [str(n) for n in range(args.count)]:
        raise SystemExit(f"out of order: {received}")


def three():
    connection = mqtt.Connection(
        client=mqtt.Client(bootstrap, tls),
        host_name=HOST,
        port=args.port,
        client_id=f"awscrt-{uuid.uuid4()}",
        use_websockets=True,
        websocket_handshake_transform=sign,
    )
    connection.connect().result(PATIENCE)
    subscribed, _ = connection.subscribe(TOPIC, mqtt.QoS.AT_LEAST_ONCE, lambda topic, payload, **more: take(payload))
    subscribed.result(PATIENCE)
    for n in range(args.count):
        published, _ = connection.publish(TOPIC, str(n), mqtt.QoS.AT_LEAST_ONCE)
        published.result(PATIENCE)
    finish()
    connection.disconnect().result(PATIENCE)


def five():
    connected, stopped, failures = threading.Event(), threading.Event(), []

    def failed(data):
        failures.append(repr(data.exception))
        connected.set()

    client = mqtt5.Client(
        client_options=mqtt5.ClientOptions(
            host_name=HOST,
            port=args.port,
            bootstrap=bootstrap,
            tls_ctx=tls,
            connect_options=mqtt5.ConnectPacket(client_id=f"awscrt-{uuid.uuid4()}"),
            websocket_handshake_transform=sign,
            on_publish_callback_fn=lambda data: take(data.publish_packet.payload),
            on_lifecycle_event_connection_success_fn=lambda data: connected.set(),
            on_lifecycle_event_connection_failure_fn=failed,
            on_lifecycle_event_stopped_fn=lambda data: stopped.set(),
        )
    )
    client.start()
    if not connected.wait(PATIENCE) or failures:
        raise SystemExit(f"not connected: {failures}")
    filters = [mqtt5.Subscription(topic_filter=TOPIC, qos=mqtt5.QoS.AT_LEAST_ONCE)]
    client.subscribe(mqtt5.SubscribePacket(subscriptions=filters)).result(PATIENCE)
    for n in range(args.count):
        packet = mqtt5.PublishPacket(topic=TOPIC, payload=str(n), qos=mqtt5.QoS.AT_LEAST_ONCE)
        client.publish(packet).result(PATIENCE)
    finish()
    client.stop()
    if not stopped.wait(PATIENCE):
        raise SystemExit("no end")


{"3.1.1": three, "5": five}[args.mqtt]()
print(f"{len(received)} messages")
