"""The AWS IoT Device SDK for Python, version 2: messages there and back, and a Device Shadow through its whole life.

With MQTT 3.1.1 by `IotShadowClient`, where each topic has a callback, and with MQTT 5 by `IotShadowClientV2`, where each request
has its answer: the two ways that the SDK offers.
"""

import sdk
from awscrt import auth, mqtt, mqtt5, mqtt_request_response
from awsiot import ServiceStreamOptions, V2ServiceException, iotshadow, mqtt5_client_builder, mqtt_connection_builder

HOST = "localhost"
TOPIC = "interop/sdk/v2"


def built(builder, args, **more):
    """What either of the SDK's builders makes of the arguments."""
    common = dict(endpoint=HOST, port=args.port, ca_filepath=args.ca, client_id=f"{args.thing}-device", **more)
    if args.cert:
        return builder.mtls_from_path(args.cert, args.key, **common)
    provider = auth.AwsCredentialsProvider.new_static(args.access_key, args.secret)
    return builder.websockets_with_default_aws_signing(args.region, provider, **common)


def arrived(received):
    for n, payload in enumerate(sdk.PAYLOADS):
        topic, message = received.take()
        message = bytes(message).decode()
        sdk.check((topic, message) == (TOPIC, payload), f"message {n}: {message[:40]!r} on {topic}")
    sdk.say(f"{len(sdk.PAYLOADS)} messages there and back")


class Callbacks:
    """MQTT 3.1.1, and the shadow by subscriptions and publishes."""

    def __init__(self, args):
        self.thing = args.thing
        self.connection = built(mqtt_connection_builder, args, clean_session=True)
        self.connection.connect().result(sdk.PATIENCE)
        self.client = iotshadow.IotShadowClient(self.connection)
        self.answers, self.deltas = sdk.Inbox("answer from the shadow"), sdk.Inbox("delta")
        for kind in ["get", "update", "delete"]:
            request = getattr(iotshadow, f"{kind.title()}ShadowSubscriptionRequest")(thing_name=self.thing)
            for end in ["accepted", "rejected"]:
                subscribe = getattr(self.client, f"subscribe_to_{kind}_shadow_{end}")
                self.granted(subscribe, request, lambda answer, end=f"{kind} {end}": self.answers.put(end, answer))
        request = iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=self.thing)
        self.granted(self.client.subscribe_to_shadow_delta_updated_events, request, self.deltas.put)

    @staticmethod
    def granted(subscribe, request, callback):
        subscribed, topic = subscribe(request, mqtt.QoS.AT_LEAST_ONCE, callback)
        qos = subscribed.result(sdk.PATIENCE)
        sdk.check(qos == mqtt.QoS.AT_LEAST_ONCE, f"{topic} was granted {qos}")

    def messages(self):
        received = sdk.Inbox("message")
        at_least_once = mqtt.QoS.AT_LEAST_ONCE
        subscribed, _ = self.connection.subscribe(TOPIC, at_least_once, lambda topic, payload, **_: received.put(topic, payload))
        subscribed.result(sdk.PATIENCE)
        published = [self.connection.publish(TOPIC, payload, at_least_once)[0] for payload in sdk.PAYLOADS]
        arrived(received)
        for future in published:
            future.result(sdk.PATIENCE)

    def answer(self, publish, request, expected):
        request.thing_name, request.client_token = self.thing, f"token of {expected}"
        publish(request, mqtt.QoS.AT_LEAST_ONCE).result(sdk.PATIENCE)
        end, answer = self.answers.take()
        sdk.check(end == expected, f"{end} instead of {expected}: {answer}")
        sdk.check(answer is not None, f"the SDK could not read the answer {end}")
        sdk.check(answer.client_token == request.client_token, f"another token: {answer}")
        return answer

    def missing(self):
        request = iotshadow.GetShadowRequest()
        return self.answer(self.client.publish_get_shadow, request, "get rejected")

    def get(self):
        request = iotshadow.GetShadowRequest()
        return self.answer(self.client.publish_get_shadow, request, "get accepted")

    def update(self, **state):
        request = iotshadow.UpdateShadowRequest(state=iotshadow.ShadowState(**state))
        return self.answer(self.client.publish_update_shadow, request, "update accepted")

    def delete(self):
        request = iotshadow.DeleteShadowRequest()
        return self.answer(self.client.publish_delete_shadow, request, "delete accepted")

    def end(self):
        self.connection.disconnect().result(sdk.PATIENCE)


class Requests:
    """MQTT 5, and the shadow by requests that have answers."""

    def __init__(self, args):
        self.thing = args.thing
        self.lifecycle, self.received = sdk.Inbox("news of the connection"), sdk.Inbox("message")

        def publish(data):
            # The answers of the shadow pass here, too, on their way to the client that asked.
            if data.publish_packet.topic == TOPIC:
                self.received.put(data.publish_packet.topic, data.publish_packet.payload)

        self.connection = built(
            mqtt5_client_builder,
            args,
            on_publish_received=publish,
            on_lifecycle_connection_success=lambda data: self.lifecycle.put("connected"),
            on_lifecycle_connection_failure=lambda data: self.lifecycle.put(repr(data.exception)),
            on_lifecycle_stopped=lambda data: self.lifecycle.put("stopped"),
        )
        self.connection.start()
        news = self.lifecycle.take()
        sdk.check(news == "connected", f"not connected: {news}")
        options = mqtt_request_response.ClientOptions(
            max_request_response_subscriptions=3,
            max_streaming_subscriptions=1,
            operation_timeout_in_seconds=sdk.PATIENCE,
        )
        self.client = iotshadow.IotShadowClientV2(self.connection, options)
        self.deltas, status = sdk.Inbox("delta"), sdk.Inbox("subscription of the delta")
        self.stream = self.client.create_shadow_delta_updated_stream(
            iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=self.thing),
            ServiceStreamOptions(
                incoming_event_listener=self.deltas.put,
                subscription_status_listener=status.put,
                deserialization_failure_listener=self.deltas.put,
            ),
        )
        self.stream.open()
        event = status.take()
        established = mqtt_request_response.SubscriptionStatusEventType.SUBSCRIPTION_ESTABLISHED
        sdk.check(event.type == established, f"not subscribed: {event}")

    def messages(self):
        at_least_once = mqtt5.QoS.AT_LEAST_ONCE
        filters = [mqtt5.Subscription(topic_filter=TOPIC, qos=at_least_once)]
        granted = self.connection.subscribe(mqtt5.SubscribePacket(subscriptions=filters)).result(sdk.PATIENCE)
        sdk.check(granted.reason_codes == [mqtt5.SubackReasonCode.GRANTED_QOS_1], f"not subscribed: {granted}")
        packets = [mqtt5.PublishPacket(topic=TOPIC, payload=payload, qos=at_least_once) for payload in sdk.PAYLOADS]
        published = [self.connection.publish(packet) for packet in packets]
        arrived(self.received)
        for future in published:
            code = future.result(sdk.PATIENCE).puback.reason_code
            sdk.check(code == mqtt5.PubackReasonCode.SUCCESS, f"not acknowledged: {code}")

    def missing(self):
        try:
            answer = self.get()
        except V2ServiceException as exception:
            sdk.check(exception.modeled_error is not None, f"the SDK sees no rejection: {exception.inner_error!r}")
            return exception.modeled_error
        raise sdk.Failure(f"a missing shadow is there: {answer}")

    def get(self):
        return self.client.get_shadow(iotshadow.GetShadowRequest(thing_name=self.thing)).result(sdk.PATIENCE)

    def update(self, **state):
        request = iotshadow.UpdateShadowRequest(thing_name=self.thing, state=iotshadow.ShadowState(**state))
        return self.client.update_shadow(request).result(sdk.PATIENCE)

    def delete(self):
        return self.client.delete_shadow(iotshadow.DeleteShadowRequest(thing_name=self.thing)).result(sdk.PATIENCE)

    def end(self):
        self.connection.stop()
        news = self.lifecycle.take()
        sdk.check(news == "stopped", f"not stopped: {news}")


def missing(device):
    rejected = device.missing()
    sdk.check(rejected.code == 404, f"rejected otherwise: {rejected}")


def shadows(device):
    missing(device)
    sdk.say("get of a missing shadow rejected with 404")

    accepted = device.update(desired={"color": "red"})
    sdk.check(accepted.state.desired == {"color": "red"}, f"another answer: {accepted}")
    sdk.say("update accepted")
    delta = device.deltas.take()
    sdk.check(isinstance(delta, iotshadow.ShadowDeltaUpdatedEvent), f"the SDK could not read the delta: {delta}")
    sdk.check((delta.state, delta.version) == ({"color": "red"}, accepted.version), f"another delta: {delta}")
    sdk.say("delta received")

    state = device.get().state
    sdk.check((state.desired, state.reported, state.delta) == ({"color": "red"}, None, {"color": "red"}), f"another: {state}")
    reported = device.update(reported={"color": "red"})
    document = device.get()
    state = document.state
    sdk.check((state.desired, state.reported, state.delta) == ({"color": "red"}, {"color": "red"}, None), f"another: {state}")
    sdk.check(document.version == reported.version == accepted.version + 1, f"another version: {document}")
    sdk.say("get returns what was desired, and reported")

    deleted = device.delete()
    sdk.check(deleted.version == document.version, f"another version deleted: {deleted}")
    missing(device)
    sdk.say("delete accepted")


def main(args):
    device = {"3.1.1": Callbacks, "5": Requests}[args.mqtt](args)
    device.messages()
    shadows(device)
    device.end()


sdk.run(main)
