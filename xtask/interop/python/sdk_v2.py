"""The AWS IoT Device SDK for Python, version 2: messages there and back, and Device Shadows through their whole lives.

With MQTT 3.1.1 by `IotShadowClient`, where each topic has a callback, and with MQTT 5 by `IotShadowClientV2`, where each request
has its answer: the two ways that the SDK offers. First the classic shadow, then a named one of the same thing.
"""

import gc

import sdk
from awscrt import auth, mqtt, mqtt5, mqtt_request_response
from awsiot import ServiceStreamOptions, V2ServiceException, iotshadow, mqtt5_client_builder, mqtt_connection_builder

HOST = "localhost"
NAME = "settings"


def built(builder, args, **more):
    """What either of the SDK's builders makes of the arguments."""
    common = dict(endpoint=HOST, port=args.port, ca_filepath=args.ca, client_id=f"{args.thing}-device", **more)
    if args.cert:
        return builder.mtls_from_path(args.cert, args.key, **common)
    provider = auth.AwsCredentialsProvider.new_static(args.access_key, args.secret)
    return builder.websockets_with_default_aws_signing(args.region, provider, **common)


class Shadow:
    """Finds the SDK's names for the classic shadow or a named one."""

    def __init__(self, thing, name):
        self.which = dict(thing_name=thing, shadow_name=name) if name else dict(thing_name=thing)
        self.named, self.Named = ("named_", "Named") if name else ("", "")
        self.deltas = sdk.Inbox("delta")

    def made(self, kind, **more):
        """A request of the SDK's for this shadow: `kind` has `{}` where a named one says so."""
        return getattr(iotshadow, kind.format(self.Named))(**self.which, **more)

    def method(self, kind):
        """A method of the SDK's client for this kind of shadow."""
        return getattr(self.client, kind.format(self.named))

    def get(self):
        return self.answer("get", self.made("Get{}ShadowRequest"))

    def update(self, **state):
        return self.answer("update", self.made("Update{}ShadowRequest", state=iotshadow.ShadowState(**state)))

    def delete(self):
        return self.answer("delete", self.made("Delete{}ShadowRequest"))


class CallbackShadow(Shadow):
    """By subscriptions and publishes."""

    def __init__(self, client, thing, name):
        super().__init__(thing, name)
        self.client, self.answers = client, sdk.Inbox("answer from the shadow")
        for kind in ["get", "update", "delete"]:
            request = self.made(kind.title() + "{}ShadowSubscriptionRequest")
            for end in ["accepted", "rejected"]:
                subscribe = self.method(f"subscribe_to_{kind}_{{}}shadow_{end}")
                self.granted(subscribe, request, lambda answer, end=f"{kind} {end}": self.answers.put(end, answer))
        subscribe = self.method("subscribe_to_{}shadow_delta_updated_events")
        self.granted(subscribe, self.made("{}ShadowDeltaUpdatedSubscriptionRequest"), self.deltas.put)

    @staticmethod
    def granted(subscribe, request, callback):
        subscribed, topic = subscribe(request, mqtt.QoS.AT_LEAST_ONCE, callback)
        qos = subscribed.result(sdk.PATIENCE)
        sdk.check(qos == mqtt.QoS.AT_LEAST_ONCE, f"{topic} was granted {qos}")

    def answer(self, kind, request, expected="accepted"):
        request.client_token = f"token of {kind} {expected}"
        self.method(f"publish_{kind}_{{}}shadow")(request, mqtt.QoS.AT_LEAST_ONCE).result(sdk.PATIENCE)
        end, answer = self.answers.take()
        sdk.check(end == f"{kind} {expected}", f"{end} instead of {kind} {expected}: {answer}")
        sdk.check(answer is not None, f"the SDK could not read the answer {end}")
        sdk.check(answer.client_token == request.client_token, f"another token than {request.client_token}: {answer}")
        return answer

    def rejected(self):
        return self.answer("get", self.made("Get{}ShadowRequest"), "rejected")


class Callbacks:
    """MQTT 3.1.1."""

    def __init__(self, args):
        self.thing = args.thing
        self.connection = built(mqtt_connection_builder, args, clean_session=True)
        self.connection.connect().result(sdk.PATIENCE)
        self.client = iotshadow.IotShadowClient(self.connection)

    def shadow(self, name):
        return CallbackShadow(self.client, self.thing, name)

    def messages(self, topic, qos):
        received, wanted = sdk.Inbox("message"), mqtt.QoS(qos)
        take = lambda topic, payload, qos, **_: received.put(topic, payload, qos)
        subscribed, _ = self.connection.subscribe(topic, wanted, take)
        granted = subscribed.result(sdk.PATIENCE)["qos"]
        sdk.check(granted == wanted, f"{topic} was granted {granted}")
        published = [self.connection.publish(topic, payload, wanted)[0] for payload in sdk.PAYLOADS]
        sdk.arrived(received, topic, qos)
        for future in published:
            future.result(sdk.PATIENCE)

    def end(self):
        self.connection.disconnect().result(sdk.PATIENCE)


class RequestShadow(Shadow):
    """By requests that have answers."""

    def __init__(self, client, thing, name):
        super().__init__(thing, name)
        self.client, status = client, sdk.Inbox("subscription of the delta")
        self.stream = self.method("create_{}shadow_delta_updated_stream")(
            self.made("{}ShadowDeltaUpdatedSubscriptionRequest"),
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

    def answer(self, kind, request):
        try:
            return self.method(f"{kind}_{{}}shadow")(request).result(sdk.PATIENCE)
        except V2ServiceException as exception:
            if kind == "get" and exception.modeled_error is not None:
                raise
            raise sdk.Failure(f"{kind}: {exception.modeled_error or repr(exception.inner_error)}") from None

    def rejected(self):
        try:
            answer = self.get()
        except V2ServiceException as exception:
            return exception.modeled_error
        raise sdk.Failure(f"a missing shadow is there: {answer}")


class Requests:
    """MQTT 5."""

    def __init__(self, args):
        self.thing = args.thing
        self.lifecycle, self.received = sdk.Inbox("news of the connection"), {}

        def publish(data):
            # The answers of shadows pass here, too, on their way to the client that asked.
            packet = data.publish_packet
            if packet.topic in self.received:
                self.received[packet.topic].put(packet.topic, packet.payload, packet.qos)

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
            max_request_response_subscriptions=6,
            max_streaming_subscriptions=2,
            operation_timeout_in_seconds=sdk.PATIENCE,
        )
        self.client = iotshadow.IotShadowClientV2(self.connection, options)

    def shadow(self, name):
        return RequestShadow(self.client, self.thing, name)

    def messages(self, topic, qos):
        received, wanted = sdk.Inbox("message"), mqtt5.QoS(qos)
        self.received[topic] = received
        filters = [mqtt5.Subscription(topic_filter=topic, qos=wanted)]
        granted = self.connection.subscribe(mqtt5.SubscribePacket(subscriptions=filters)).result(sdk.PATIENCE)
        sdk.check(granted.reason_codes == [mqtt5.SubackReasonCode(qos)], f"{topic} was granted {granted}")
        packets = [mqtt5.PublishPacket(topic=topic, payload=payload, qos=wanted) for payload in sdk.PAYLOADS]
        published = [self.connection.publish(packet) for packet in packets]
        sdk.arrived(received, topic, qos)
        for future in published:
            puback = future.result(sdk.PATIENCE).puback
            code = mqtt5.PubackReasonCode.SUCCESS if qos else None
            sdk.check(puback.reason_code == code, f"acknowledged otherwise: {puback}")

    def end(self):
        # What of the shadows is still there when the interpreter ends can crash awscrt; so they end before the connection does.
        self.client = None
        gc.collect()
        self.connection.stop()
        news = self.lifecycle.take()
        sdk.check(news == "stopped", f"not stopped: {news}")


def missing(shadow):
    rejected = shadow.rejected()
    sdk.check(rejected.code == 404, f"rejected otherwise: {rejected}")


def same(state, desired, reported, delta):
    # The answer to an update has no delta, and no place for one.
    seen = (state.desired, state.reported, getattr(state, "delta", None))
    sdk.check(
        seen == (desired, reported, delta),
        f"desired, reported and delta are not {desired}, {reported} and {delta}: {state}",
    )


def life(shadow, prefix, color):
    color = {"color": color}
    missing(shadow)
    sdk.say(prefix + "get of a missing shadow rejected with 404")

    accepted = shadow.update(desired=color)
    same(accepted.state, color, None, None)
    sdk.say(prefix + "update accepted")
    delta = shadow.deltas.take()
    sdk.check(isinstance(delta, iotshadow.ShadowDeltaUpdatedEvent), f"the SDK could not read the delta: {delta}")
    sdk.check((delta.state, delta.version) == (color, accepted.version), f"another delta than {color}: {delta}")
    sdk.say(prefix + "delta received")

    same(shadow.get().state, color, None, color)
    reported = shadow.update(reported=color)
    document = shadow.get()
    same(document.state, color, color, None)
    sdk.check(document.version == reported.version == accepted.version + 1, f"another version: {document}")
    sdk.say(prefix + "get returns what was desired, and reported")

    deleted = shadow.delete()
    sdk.check(deleted.version == document.version, f"another version than {document.version} deleted: {deleted}")
    missing(shadow)
    sdk.say(prefix + "delete accepted")


def main(args):
    device = {"3.1.1": Callbacks, "5": Requests}[args.mqtt](args)
    for qos in [0, 1]:
        device.messages(f"interop/{args.thing}/{qos}", qos)
    # Both are listened to all the time; what is meant for one must not show in the other.
    classic, named = device.shadow(None), device.shadow(NAME)
    life(classic, "", "red")
    life(named, "named: ", "blue")
    sdk.check(classic.deltas.items.empty() and named.deltas.items.empty(), "a delta more than there were differences")
    del classic, named
    device.end()


sdk.run(main)
